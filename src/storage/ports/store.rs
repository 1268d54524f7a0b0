//! The database as a whole: everything that can be read, how writers are opened, and its life from migration to close.

use async_trait::async_trait;

use crate::storage::error::StoreError;

use super::accounts::AccountReads;
use super::businesses::BusinessReads;
use super::idempotency::IdempotencyReads;
use super::maintenance::MaintenanceReads;
use super::notifications::NotificationReads;
use super::orders::OrderReads;
use super::rooms::RoomReads;
use super::writer::Lane;

/// Whether reads reach the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// They do.
    Closed,
    /// Nobody has answered lately: they are refused at once until a probe is answered.
    Open,
}

/// What a checkpoint came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is left in the log, or there is none to look after.
    Done,
    /// Somebody reads or writes for too long: a part of the log is left, and its file as large as it was.
    Busy,
}

/// The database. Cheap to share. Reads see every commit that was answered before they began. Every call ends within the
/// configured time-outs, with [`StoreError::Unavailable`] when the database is away: at once while that is known
/// ([`Circuit::Open`]).
#[async_trait]
pub trait Store:
    AccountReads
    + BusinessReads
    + NotificationReads
    + OrderReads
    + IdempotencyReads
    + RoomReads
    + MaintenanceReads
    + 'static
{
    /// A word for logs and health: `postgres` or `sqlite`.
    fn name(&self) -> &'static str;
    /// How many lanes it can use at once; 1 where there can be only one writer.
    fn max_lanes(&self) -> usize;
    /// Opens a writer.
    async fn open_lane(&self) -> Result<Box<dyn Lane>, StoreError>;
    /// Brings the schema up to date; safe to run on several nodes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Whether reads are refused unasked because nobody has answered lately.
    fn circuit(&self) -> Circuit;
    /// Connections open and idle, for the metric.
    fn pool_size(&self) -> (u32, u32);
    /// What is known to be wrong without asking, for operators; writes are refused meanwhile.
    fn fault(&self) -> Option<&'static str>;
    /// Gives the log's space back where the database does not do so by itself: folds SQLite's write-ahead log into the
    /// file. Waits for readers and the writer a second at most, then leaves the rest for the next time.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;
    /// Writes a consistent copy of a SQLite database, made while the hub runs, to a new file that only its owner can
    /// read; [`StoreError::NotHappened`] when the file exists, and for Postgres, which has tools of its own.
    async fn backup(&self, file: &std::path::Path) -> Result<(), StoreError>;
    /// Closes every connection, letting reads that run finish.
    async fn close(&self);
}
