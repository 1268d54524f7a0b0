//! Sagas of orders: one actor for each order that has a deadline within the horizon, on the node whose lane committed last. It
//! makes the deadline punctual and nothing else: what is due is a row of the store, and the sweep of any node finds it.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

mod actor;
mod messages;
pub(in crate::actors) mod settings;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::domain::ids::OrderId;

use super::deadlines::{Deadline, Deadlines};
use super::mailbox::{Mailbox, SendError};
use actor::OrderSagaActor;
use messages::{ClockMoved, Schedule};

/// Messages waiting for one saga before further ones are refused: each is the news of a commit, and the newest counts.
const MAILBOX: usize = 8;

/// Everything that the sagas of a node share.
struct SagaDeps {
    registry: DashMap<OrderId, Mailbox<OrderSagaActor>>,
    deadlines: Deadlines,
    horizon: Duration,
}

/// The handle to the sagas of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct OrderSagas {
    deps: Arc<SagaDeps>,
    places: Arc<Semaphore>,
    arbiter: Arc<Arbiter>,
}

impl OrderSagas {
    /// Starts the thread of the sagas; there are none yet.
    pub(super) fn start(deadlines: Deadlines, horizon: Duration, most: usize) -> Self {
        let deps = SagaDeps { registry: DashMap::new(), deadlines, horizon };
        Self {
            deps: Arc::new(deps),
            places: Arc::new(Semaphore::new(most)),
            arbiter: Arc::new(Arbiter::new()),
        }
    }

    /// A commit has left this deadline, or none, for an order. Never waits: a saga that cannot be told or started is found by the
    /// sweep when it is due.
    pub(super) fn schedule(&self, deadline: Deadline, wait: Option<Duration>) {
        let now = Instant::now();
        let schedule = Schedule { attempt: deadline.attempt, due: wait.map(|wait| now + wait) };
        let mailbox = self.deps.registry.get(&deadline.order).map(|entry| entry.value().clone());
        match mailbox.map(|mailbox| mailbox.offer(schedule)) {
            Some(Ok(())) => {}
            Some(Err(SendError::Full)) => {
                tracing::warn!(order = %deadline.order, "the mailbox of a saga is full")
            }
            Some(Err(SendError::Closed)) | None => self.start_near(deadline, schedule),
        }
    }

    fn start_near(&self, deadline: Deadline, schedule: Schedule) {
        let Some(due) = schedule.due.filter(|due| *due <= Instant::now() + self.deps.horizon) else {
            self.deps.registry.remove_if(&deadline.order, |_, mailbox| !mailbox.is_open());
            return;
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else { return };
        let actor = OrderSagaActor::new(deadline, due, self.deps.clone(), place);
        let mailbox = Mailbox::start_in(&self.arbiter.handle(), MAILBOX, actor);
        self.deps.registry.insert(deadline.order, mailbox);
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

    /// Ends every saga; their deadlines stay due in the store.
    pub fn stop(&self) {
        self.arbiter.stop();
        self.deps.registry.clear();
    }
}
