//! Firing of deadlines: the one way by which sagas and the sweep find and submit them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::time::Timestamp;
use crate::storage::StoreError;

use super::persistence::SubmitError;

/// Deadlines submitted at once: as many as one lane lets wait, so that none is refused for want of a place, and enough that
/// every batch has its share of them. Further ones wait here, first come first served.
const AT_ONCE: usize = 256;

/// The deadline of an order, as it is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) order: OrderId,
    pub(super) business: BusinessId,
    /// The write of the saga's row that set it: of two who submit it, one changes something.
    pub(super) attempt: i64,
}

/// A deadline that is due, with its place in the list of all that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DueDeadline {
    pub(super) deadline: Deadline,
    pub(super) due_at: Timestamp,
}

impl DueDeadline {
    pub(super) fn position(&self) -> DuePosition {
        DuePosition { due_at: self.due_at, order: self.deadline.order }
    }
}

/// A place in the list of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DuePosition {
    pub(super) due_at: Timestamp,
    pub(super) order: OrderId,
}

/// What a deadline that was submitted has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeadlineLeft {
    /// The row as it is now: its newest write, and how long until anything is to happen; `None` when nothing is.
    Next { attempt: i64, wait: Option<Duration> },
    /// The row is gone, or of a newer release: it is left alone.
    Nothing,
}

/// The store and its writers, as far as deadlines need them.
#[async_trait]
pub(super) trait DeadlineStore: Send + Sync + 'static {
    /// Deadlines that have been due for at least `age`, the oldest first, behind `after`, at most `limit`.
    async fn due(
        &self,
        age: Duration,
        after: Option<DuePosition>,
        limit: u32,
    ) -> Result<Vec<DueDeadline>, StoreError>;

    /// Fires a deadline and gives what is left; one that somebody else has fired changes nothing.
    async fn fire(&self, deadline: Deadline) -> Result<DeadlineLeft, SubmitError>;
}

/// Finds and submits deadlines. Cheap to clone.
#[derive(Clone)]
pub(super) struct Deadlines {
    store: Arc<dyn DeadlineStore>,
    places: Arc<Semaphore>,
}

impl Deadlines {
    pub(super) fn new(store: Arc<dyn DeadlineStore>) -> Self {
        Self { store, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// As [`DeadlineStore::due`].
    pub(super) async fn due(
        &self,
        age: Duration,
        after: Option<DuePosition>,
        limit: u32,
    ) -> Result<Vec<DueDeadline>, StoreError> {
        self.store.due(age, after, limit).await
    }

    /// As [`DeadlineStore::fire`], when it has its turn.
    ///
    /// # Errors
    /// When it was not written, or nobody knows: it stays due then, or has been fired.
    pub(super) async fn fire(&self, deadline: Deadline) -> Result<DeadlineLeft, SubmitError> {
        let _place = self.places.acquire().await.map_err(|_| SubmitError::Unavailable)?;
        self.store.fire(deadline).await
    }
}
