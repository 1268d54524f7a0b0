//! The queue for hashing: few hashes at once, others waiting in order, bounded in number and time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::errors::PasswordError;

/// Share of the places in the queue that is kept for [`Standing::Known`]: one in so many.
const KEPT_SHARE: usize = 4;

/// The rank of a caller in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Signed in to the account before, from the same place or on the same device; goes before strangers.
    Known,
    /// Anybody else.
    Stranger,
}

/// Permits to hash, and the places of those who wait for one.
#[derive(Debug)]
pub(super) struct HashQueue {
    pub(super) running: Arc<Semaphore>,
    /// Places for anybody.
    places: Semaphore,
    /// Places for [`Standing::Known`] alone.
    kept_places: Semaphore,
    /// At most as many strangers as hashes run at once wait for a permit itself; the others wait for this, so that a known
    /// account never has more than so many before it.
    strangers_next: Semaphore,
    max_wait: Duration,
}

impl HashQueue {
    /// `concurrency` permits and `max_waiting` places.
    pub(super) fn new(concurrency: usize, max_waiting: usize, max_wait: Duration) -> Self {
        let max_waiting = max_waiting.min(Semaphore::MAX_PERMITS);
        let kept = max_waiting / KEPT_SHARE;
        Self {
            running: Arc::new(Semaphore::new(concurrency)),
            places: Semaphore::new(max_waiting - kept),
            kept_places: Semaphore::new(kept),
            strangers_next: Semaphore::new(concurrency),
            max_wait,
        }
    }

    /// Waits for a permit; `Busy` when there is no place or it does not come in time.
    pub(super) async fn permit(&self, standing: Standing) -> Result<OwnedSemaphorePermit, PasswordError> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let place = self.places.try_acquire();
        let _place = match standing {
            Standing::Stranger => place,
            Standing::Known => place.or_else(|_| self.kept_places.try_acquire()),
        }
        .map_err(|_| PasswordError::Busy)?;
        let turn = async {
            let _next = match standing {
                Standing::Stranger => Some(self.strangers_next.acquire().await),
                Standing::Known => None,
            };
            Arc::clone(&self.running).acquire_owned().await
        };
        match timeout(self.max_wait, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(PasswordError::Busy),
        }
    }
}
