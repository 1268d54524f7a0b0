//! Figures of the whole hub that somebody on call watches.

use async_trait::async_trait;

use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// Work that is overdue. Each figure is counted up to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Refunds that failed and wait for an operator.
    pub refunds_failed: u32,
    /// Other refunds that have not succeeded an hour after they became due.
    pub refunds_late: u32,
    /// Orders that wait for a payment, of which the provider sent a message two minutes ago or earlier that is not worked on.
    pub paid_not_placed: u32,
    /// Deadlines on which nobody has acted five seconds after their time.
    pub deadlines: u32,
}

/// How many of the businesses that had an order within a week take orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusinessesInUse {
    /// Those that take orders.
    pub open: u32,
    /// Those that the hub has paused by itself.
    pub paused_by_machine: u32,
}

/// Reads of such figures, every half minute by each node.
#[async_trait]
pub trait OversightReads: Send + Sync {
    /// What is overdue at `now`.
    async fn overdue(&self, now: Timestamp) -> Result<Overdue, StoreError>;
    /// How many businesses in use take orders at `now`, and how many do not because of the hub.
    async fn businesses_in_use(&self, now: Timestamp) -> Result<BusinessesInUse, StoreError>;
    /// Deliveries that are searched for in zones in which no driver is on, by zone, of at most `limit` zones.
    async fn without_driver(&self, limit: u32) -> Result<Vec<(String, u32)>, StoreError>;
    /// Time, seconds, by which standbys that stream from this Postgres are behind, by name, at most `limit`. Empty on SQLite, and
    /// where the database user may not see it (role `pg_monitor`).
    async fn replica_lags(&self, limit: u32) -> Result<Vec<(String, f64)>, StoreError>;
    /// Size of the database, bytes.
    async fn size(&self) -> Result<u64, StoreError>;
}
