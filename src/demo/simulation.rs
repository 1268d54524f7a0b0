//! The state that all tasks of the demo share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::ledger::Ledger;
use super::provider::Provider;
use super::scenario::Scenario;

/// Time limit for devices to close their sockets.
const FAREWELL: Duration = Duration::from_secs(5);

/// The state that all tasks of the demo share.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) scenario: Scenario,
    run: Uuid,
    ledger: Arc<Mutex<Ledger>>,
    /// The payment provider of the hub.
    pub(super) provider: Provider,
    /// No more orders, and nobody goes away any more.
    pub(super) closing: CancellationToken,
    /// Devices close their sockets.
    pub(super) over: CancellationToken,
    pub(super) tasks: TaskTracker,
    began: Instant,
}

impl Simulation {
    /// A simulation that ends early when `closing` is cancelled.
    pub(super) fn new(
        scenario: Scenario,
        run: Uuid,
        ledger: Arc<Mutex<Ledger>>,
        provider: Provider,
        closing: CancellationToken,
    ) -> Self {
        let (over, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { scenario, run, ledger, provider, closing, over, tasks, began: Instant::now() }
    }

    /// Time since the simulation was made.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The ledger. The lock is held for this call alone.
    pub(super) fn ledger<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The idempotency key of this run's order number `n`, also written on the order, so that lists show it.
    pub(super) fn key_text(&self, n: u64) -> String {
        format!("{}{n}", key_prefix(self.run))
    }

    /// Closes every socket and drops what is under way, within five seconds.
    pub(super) async fn go_home(&self) {
        self.over.cancel();
        self.tasks.close();
        // Whoever is still waiting for an answer does not hold up the end.
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
    }

    /// The number of the order with these notes, if this run placed it.
    pub(super) fn key_number(&self, notes: &str) -> Option<u64> {
        notes.strip_prefix(&key_prefix(self.run))?.parse().ok()
    }
}

fn key_prefix(run: Uuid) -> String {
    format!("demo-{}-", run.simple())
}
