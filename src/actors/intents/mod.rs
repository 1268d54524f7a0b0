//! Intents: uses of channels to the outside. A commit makes the row; the dispatcher takes rows that are due, calls with the row's id as
//! idempotency key, and writes what came of it.

mod actor;
mod messages;
mod settings;
mod state;

use std::sync::{Arc, OnceLock};

use actix::prelude::ArbiterHandle;

use crate::outbound::Channels;
use crate::storage::Store;
use crate::telemetry::Metrics;

use super::mailbox::Mailbox;
use super::persistence::Persistence;
use actor::IntentsActor;
use messages::{IntentsDue, Stop};

/// Messages waiting for the actor before further ones are refused: one is enough to make it read.
const MAILBOX: usize = 8;

/// The handle to the dispatcher of this node. Cheap to clone, safe to use from any thread. It is silent until it is started.
#[derive(Clone, Default)]
pub struct Intents {
    mailbox: Arc<OnceLock<Mailbox<IntentsActor>>>,
}

impl Intents {
    /// Starts the dispatcher on this arbiter; a second call changes nothing.
    pub fn start(
        &self,
        arbiter: &ArbiterHandle,
        store: Arc<dyn Store>,
        persistence: Persistence,
        channels: Channels,
        metrics: Metrics,
    ) {
        self.mailbox.get_or_init(|| {
            let actor = IntentsActor::new(store, persistence, channels, metrics);
            Mailbox::start_in(arbiter, MAILBOX, actor)
        });
    }

    /// A commit has made intents due.
    pub(super) fn due(&self) {
        if let Some(mailbox) = self.mailbox.get() {
            // A full mailbox holds such a message already.
            let _ = mailbox.offer(IntentsDue);
        }
    }

    /// Ends the dispatcher.
    pub fn stop(&self) {
        if let Some(mailbox) = self.mailbox.get() {
            let _ = mailbox.offer(Stop);
        }
    }
}
