//! The worker of money: applies what the payment provider says, asks it what became of payments, and sends refunds. Whatever it does is a
//! row of the store first, which any node finds when it is due.

mod actor;
mod messages;
mod settings;
mod state;
mod work;

use std::sync::{Arc, OnceLock};

use actix::prelude::ArbiterHandle;

use crate::outbound::Payments;
use crate::storage::Store;
use crate::storage::cache::CurrentHolds;
use crate::telemetry::Metrics;

use super::kept::Kept;
use super::persistence::Persistence;
use actor::MoneyActor;
use messages::{MoneyDue, Stop};
use work::Work;

/// Messages waiting for the actor before further ones are refused: one is enough to make it look.
const MAILBOX: usize = 8;

/// The handle to the worker of this node. Cheap to clone, safe to use from any thread. It is silent until it is started.
#[derive(Clone, Default)]
pub struct Money {
    actor: Arc<OnceLock<Kept<MoneyActor>>>,
}

impl Money {
    /// Starts the worker on this arbiter; a second call changes nothing.
    pub fn start(
        &self,
        arbiter: &ArbiterHandle,
        store: Arc<dyn Store>,
        persistence: Persistence,
        payments: Payments,
        holds: CurrentHolds,
        metrics: Metrics,
    ) {
        self.actor.get_or_init(|| {
            let work = Work { store, persistence, payments };
            let counted = metrics.clone();
            // It waits for nothing itself: what it has begun has time limits of its own.
            let make = move |_| MoneyActor::new(work.clone(), holds.clone(), metrics.clone());
            Kept::start(arbiter, MAILBOX, "the worker of money", counted, make)
        });
    }

    /// A commit has left money to work on, or the store's clock was moved.
    pub fn due(&self) {
        if let Some(actor) = self.actor.get() {
            // A full mailbox holds such a message already.
            let _ = actor.offer(MoneyDue);
        }
    }

    /// Ends the worker.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.let_go();
            let _ = actor.offer(Stop);
        }
    }
}
