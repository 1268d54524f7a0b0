//! The sweep: finds the deadlines of all orders that are due in the store and fires them, whichever node set them. Sagas make
//! deadlines punctual; this makes them certain.

mod actor;
mod messages;
mod settings;
mod state;

use actix::prelude::ArbiterHandle;

use crate::telemetry::Metrics;

use super::deadlines::Deadlines;
use super::kept::Kept;
use actor::SweepActor;
use messages::{Stop, SweepNow};
use settings::SweepSettings;

/// Messages waiting for the actor before further ones are refused.
const MAILBOX: usize = 8;

/// The handle to the sweep of this node. Cheap to clone.
#[derive(Clone)]
pub struct DeadlineSweep {
    actor: Kept<SweepActor>,
}

impl DeadlineSweep {
    /// Sweeps at once and then every second, on this arbiter.
    pub fn start(arbiter: &ArbiterHandle, deadlines: Deadlines, metrics: Metrics) -> Self {
        let make = move |pulse| SweepActor::new(deadlines.clone(), SweepSettings::default(), pulse);
        Self { actor: Kept::start(arbiter, MAILBOX, "the sweep of deadlines", metrics, make) }
    }

    /// Sweeps at once: the store's clock was moved.
    pub fn now(&self) {
        // A full mailbox holds such a message already, and one that has stopped sweeps no more.
        let _ = self.actor.offer(SweepNow);
    }

    /// Ends it.
    pub fn stop(&self) {
        self.actor.let_go();
        let _ = self.actor.offer(Stop);
    }
}
