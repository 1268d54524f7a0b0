//! Holds, as they are read.

use async_trait::async_trait;

use crate::domain::hold::Hold;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// A hold with the operator who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHold {
    /// The hold.
    pub hold: Hold,
    /// The operator.
    pub user: UserId,
    /// Time at which it was set.
    pub created_at: Timestamp,
}

/// Reads of holds.
#[async_trait]
pub trait HoldReads: Send + Sync {
    /// The holds that have not ended at `now`, in the order of what they hold and where. One that only a newer release knows is left
    /// out.
    async fn holds(&self, now: Timestamp) -> Result<Vec<StoredHold>, StoreError>;
}
