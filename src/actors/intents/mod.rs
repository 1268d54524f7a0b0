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

use super::kept::Kept;
use super::persistence::Persistence;
use actor::IntentsActor;
use messages::{IntentsDue, Stop};

/// Messages waiting for the actor before further ones are refused: one is enough to make it read.
const MAILBOX: usize = 8;

/// The handle to the dispatcher of this node. Cheap to clone, safe to use from any thread. It is silent until it is started.
#[derive(Clone, Default)]
pub struct Intents {
    actor: Arc<OnceLock<Kept<IntentsActor>>>,
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
        self.actor.get_or_init(|| {
            let counted = metrics.clone();
            // It waits for nothing itself: what it has begun has time limits of its own.
            let make = move |_| {
                let (store, persistence) = (store.clone(), persistence.clone());
                IntentsActor::new(store, persistence, channels.clone(), metrics.clone())
            };
            Kept::start(arbiter, MAILBOX, "the dispatcher of intents", counted, make)
        });
    }

    /// A commit has made intents due.
    pub(super) fn due(&self) {
        if let Some(actor) = self.actor.get() {
            // A full mailbox holds such a message already.
            let _ = actor.offer(IntentsDue);
        }
    }

    /// Ends the dispatcher.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.let_go();
            let _ = actor.offer(Stop);
        }
    }
}
