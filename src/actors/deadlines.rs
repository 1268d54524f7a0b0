//! Firing of deadlines: the one way by which actors and the sweep submit them to the writers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::ids::{BusinessId, OrderId};
use crate::storage::commands::{FireDeadline, SagaDue};

use super::persistence::{Persistence, SubmitError};

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

/// Submits deadlines. Cheap to clone.
#[derive(Clone)]
pub(super) struct Deadlines {
    writer: Arc<OnceLock<Persistence>>,
    places: Arc<Semaphore>,
}

impl Deadlines {
    /// Nothing is written before [`Deadlines::write_through`].
    pub(super) fn new() -> Self {
        Self { writer: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Submits by these writers; a second call changes nothing.
    pub(super) fn write_through(&self, persistence: Persistence) {
        let _ = self.writer.set(persistence);
    }

    /// Submits a deadline, and gives what it has left.
    ///
    /// # Errors
    /// When it was not written, or nobody knows: it stays due then, or has been fired.
    pub(super) async fn fire(&self, deadline: Deadline) -> Result<SagaDue, SubmitError> {
        let Deadline { order, business, attempt } = deadline;
        let _place = self.places.acquire().await.map_err(|_| SubmitError::Unavailable)?;
        let writer = self.writer.get().ok_or(SubmitError::Unavailable)?;
        writer.write(FireDeadline { order, business, attempt }).await
    }
}
