//! The database as a whole: everything that can be read, how writers are opened, and its life from migration to close.

use async_trait::async_trait;

use crate::storage::clock::StoreClock;
use crate::storage::error::StoreError;

use super::accounts::AccountReads;
use super::businesses::BusinessReads;
use super::deliveries::DeliveryReads;
use super::held_copy::HeldCopyReads;
use super::holds::HoldReads;
use super::idempotency::IdempotencyReads;
use super::maintenance::MaintenanceReads;
use super::nodes::NodeReads;
use super::notifications::NotificationReads;
use super::orders::OrderReads;
use super::oversight::OversightReads;
use super::payments::PaymentReads;
use super::rooms::RoomReads;
use super::sagas::SagaReads;
use super::writer::Lane;

/// State of the circuit breaker before reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Reads are sent to the database.
    Closed,
    /// The database has not answered lately: reads are refused at once until a probe is answered.
    Open,
}

/// Result of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// The log is empty, or the database needs no checkpoints.
    Done,
    /// A reader or writer held the log for too long: a part of it is left, and its file as large as before.
    Busy,
}

/// The database. Cheap to share. Reads see every commit that was answered before they began. Every call ends within the
/// configured time-outs, with [`StoreError::Unavailable`] when the database is away: at once while that is known
/// ([`Circuit::Open`]).
#[async_trait]
pub trait Store:
    AccountReads
    + BusinessReads
    + DeliveryReads
    + HeldCopyReads
    + HoldReads
    + NodeReads
    + NotificationReads
    + OrderReads
    + OversightReads
    + PaymentReads
    + IdempotencyReads
    + RoomReads
    + SagaReads
    + MaintenanceReads
    + 'static
{
    /// Name in logs and health: `postgres` or `sqlite`.
    fn name(&self) -> &'static str;
    /// The store's time, as its transactions have it.
    fn clock(&self) -> &StoreClock;
    /// Most lanes that can be open at once; 1 where there can be only one writer.
    fn max_lanes(&self) -> usize;
    /// Opens a writer.
    async fn open_lane(&self) -> Result<Box<dyn Lane>, StoreError>;
    /// Brings the schema up to date; safe to run on several nodes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// The newest change of the schema that this program knows.
    fn known_schema(&self) -> i64;
    /// The newest change of the schema that the database has, which may be one of a newer release.
    async fn schema(&self) -> Result<i64, StoreError>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Whether reads are refused at once.
    fn circuit(&self) -> Circuit;
    /// Connections open and idle, for the metric.
    fn pool_size(&self) -> (u32, u32);
    /// Fault that is known without asking the database, for operators; writes are refused meanwhile.
    fn fault(&self) -> Option<&'static str>;
    /// Checkpoint of SQLite's write-ahead log into the file; nothing to do on Postgres. Waits for readers and the writer a
    /// second at most, then leaves the rest for the next time.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;
    /// Writes a consistent copy of a SQLite database, made while the hub runs, to a new file that only its owner can
    /// read; [`StoreError::NotHappened`] when the file exists, and for Postgres, which has tools of its own.
    async fn backup(&self, file: &std::path::Path) -> Result<(), StoreError>;
    /// Closes every connection, letting reads that run finish.
    async fn close(&self);
}
