//! Firing of deadlines: the one way by which sagas and the sweep find and submit them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::time::Timestamp;
use crate::storage::commands::{FireDeadline, FireOutcome, SagaDue};
use crate::storage::{DuePlace, Store, StoreError};

use super::persistence::{Persistence, SubmitError};

/// Deadlines submitted at once: as many as one lane lets wait, so that none is refused for want of a place, and enough that
/// every batch has its share of them. Further ones wait here, first come first served.
const AT_ONCE: usize = 256;

/// Finds and submits deadlines. Cheap to clone.
#[derive(Clone)]
pub struct Deadlines {
    store: Arc<dyn Store>,
    writer: Arc<OnceLock<Persistence>>,
    places: Arc<Semaphore>,
}

impl Deadlines {
    /// Deadlines of this store; none is submitted before [`Deadlines::write_through`].
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, writer: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Submits by these writers, which need the sagas themselves; a second call changes nothing.
    pub fn write_through(&self, persistence: Persistence) {
        let _ = self.writer.set(persistence);
    }

    /// Deadlines that have been due for at least `age`, the oldest first, behind `after`, at most `limit`.
    pub(super) async fn due(
        &self,
        age: Duration,
        after: Option<DuePlace>,
        limit: u32,
    ) -> Result<Vec<SagaDue>, StoreError> {
        self.store.due_sagas(self.store.clock().now().minus(age), after, limit).await
    }

    /// Submits a deadline when it has its turn, and gives what came of it; one that somebody else has fired changes nothing.
    ///
    /// # Errors
    /// When it was not written, or nobody knows: it stays due then, or has been fired.
    pub(super) async fn fire(&self, deadline: FireDeadline) -> Result<FireOutcome, SubmitError> {
        let _place = self.places.acquire().await.map_err(|_| SubmitError::Unavailable)?;
        let writer = self.writer.get().ok_or(SubmitError::Unavailable)?;
        writer.write(deadline).await
    }
}

/// How long until a saga is due, seen at `now` of the store; `None` when nothing of it is.
pub(super) fn wait_for(saga: &SagaDue, now: Timestamp) -> Option<Duration> {
    saga.due_at.map(|due| due.since(now))
}
