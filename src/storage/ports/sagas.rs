//! What is due: sagas of orders, and uses of channels to the outside.

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, IntentId, OrderId};
use crate::domain::saga::{Channel, Clocks, Rung};
use crate::domain::time::Timestamp;
use crate::storage::commands::SagaDue;
use crate::storage::error::StoreError;

/// The place of a saga in the list of those that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// When it is due.
    pub due_at: Timestamp,
    /// The order.
    pub order: OrderId,
}

/// A use of a channel that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueIntent {
    /// Its id: the idempotency key of the call.
    pub id: IntentId,
    /// The channel.
    pub channel: Channel,
    /// The rung of the order's alert that wants it.
    pub rung: Rung,
    /// The business to be reached.
    pub business: BusinessId,
    /// The order that wants it.
    pub order: OrderId,
    /// Whether its order still waits for an answer, and where it is for want of a device, still has none.
    pub is_needed: bool,
    /// Orders of the business that waited for an answer then.
    pub waiting: u32,
    /// Uses that have not worked.
    pub attempts: u32,
    /// When it is due.
    pub due_at: Timestamp,
    /// After this it is not used any more.
    pub expires_at: Timestamp,
}

/// Reads of what is due. They are of the primary.
#[async_trait]
pub trait SagaReads: Send + Sync {
    /// The clocks by which the lanes of this store decide; those of the default settings until they are given. Lanes that are open
    /// keep theirs.
    fn set_clocks(&self, clocks: Clocks);
    /// Sagas that were due at `before`, in the order of their times, behind `after`, at most `limit`. It costs what it answers,
    /// however many orders live.
    async fn due_sagas(
        &self,
        before: Timestamp,
        after: Option<DuePlace>,
        limit: u32,
    ) -> Result<Vec<SagaDue>, StoreError>;
    /// When the next saga is due after `after`.
    async fn next_saga_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError>;
    /// Uses of channels that were due at `before`, in the order of their times, at most `limit`.
    async fn due_intents(&self, before: Timestamp, limit: u32) -> Result<Vec<DueIntent>, StoreError>;
}
