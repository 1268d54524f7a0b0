//! Sagas of orders: one actor for each order that has a deadline within the horizon, on the node whose lane committed last. It
//! makes the deadline punctual and nothing else: what is due is a row of the store, and the sweep of any node finds it.

mod actor;
mod messages;
pub(in crate::actors) mod settings;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{Arbiter, ArbiterHandle};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::Semaphore;

use crate::domain::time::Timestamp;
use crate::storage::commands::{FireDeadline, SagaDue};

use super::deadlines::{Deadlines, wait_for};
use super::mailbox::{Mailbox, SendError};
use actor::{OrderSagaActor, SagaDeps};
use messages::{ClockMoved, Schedule};
use settings::SagaSettings;

/// Messages waiting for one saga before further ones are refused: each is the news of a commit, and the newest counts.
const MAILBOX: usize = 8;

/// The handle to the sagas of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct OrderSagas {
    deps: Arc<SagaDeps>,
    places: Arc<Semaphore>,
    arbiter: Arc<Arbiter>,
}

impl OrderSagas {
    /// Starts the thread of the sagas; there are none yet.
    pub fn start(deadlines: Deadlines, settings: &SagaSettings) -> Self {
        let horizon = Duration::from_secs(settings.horizon_s);
        let deps = SagaDeps { registry: DashMap::new(), deadlines, horizon };
        Self {
            deps: Arc::new(deps),
            places: Arc::new(Semaphore::new(settings.max_actors)),
            arbiter: Arc::new(Arbiter::new()),
        }
    }

    /// A commit at `at` by the store's time has left this deadline, or none, for an order. Never waits: a saga that cannot be told
    /// or started is found by the sweep when it is due.
    pub(super) fn schedule(&self, saga: &SagaDue, at: Timestamp) {
        let now = Instant::now();
        let schedule = Schedule { attempt: saga.attempt, due: wait_for(saga, at).map(|wait| now + wait) };
        // Lanes may tell of one order at the same time: the entry is theirs one after the other, so that it has one actor.
        match self.deps.registry.entry(saga.order) {
            Entry::Occupied(entry) if entry.get().is_open() => {
                if entry.get().offer(schedule) == Err(SendError::Full) {
                    tracing::warn!(order = %saga.order, "the mailbox of a saga is full");
                }
            }
            Entry::Occupied(mut stopped) => match self.start_near(saga, schedule, now) {
                Some(mailbox) => drop(stopped.insert(mailbox)),
                None => drop(stopped.remove()),
            },
            Entry::Vacant(vacant) => {
                if let Some(mailbox) = self.start_near(saga, schedule, now) {
                    vacant.insert(mailbox);
                }
            }
        }
    }

    /// A saga, if the deadline is near and the node may have another one.
    fn start_near(
        &self,
        saga: &SagaDue,
        schedule: Schedule,
        now: Instant,
    ) -> Option<Mailbox<OrderSagaActor>> {
        let due = schedule.due.filter(|due| *due <= now + self.deps.horizon)?;
        let place = self.places.clone().try_acquire_owned().ok()?;
        let SagaDue { order, business, attempt, .. } = *saga;
        let deadline = FireDeadline { order, business, attempt };
        let actor = OrderSagaActor::new(deadline, due, self.deps.clone(), place);
        Some(Mailbox::start_in(&self.arbiter.handle(), MAILBOX, actor))
    }

    /// The store's clock was moved ahead: every deadline is nearer by so much.
    pub fn clock_moved(&self, by: Duration) {
        for entry in &self.deps.registry {
            // One that has ended waits for nothing.
            let _ = entry.value().offer(ClockMoved { by });
        }
    }

    /// Sagas that wait for a deadline on this node.
    pub fn count(&self) -> usize {
        self.deps.registry.len()
    }

    /// The thread of the sagas, for what else concerns deadlines.
    pub fn arbiter(&self) -> ArbiterHandle {
        self.arbiter.handle()
    }

    /// Ends every saga; their deadlines stay due in the store.
    pub fn stop(&self) {
        self.arbiter.stop();
        self.deps.registry.clear();
    }
}

#[cfg(test)]
mod tests;
