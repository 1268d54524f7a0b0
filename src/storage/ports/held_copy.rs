//! A restored copy that is held until an operator lets it go.

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, OrderId, RefundId};
use crate::domain::order::Status;
use crate::domain::saga::DeadlineKind;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

use super::sagas::DuePlace;

/// An order of a held copy about which the hub would do something by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOrder {
    /// The order.
    pub order: OrderId,
    /// Where it was placed.
    pub business: BusinessId,
    /// Its number of the day.
    pub number: i64,
    /// Its status in the copy.
    pub status: Status,
    /// Its version in the copy.
    pub version: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// What is due next, and since when or from when.
    pub next: Option<(DeadlineKind, Timestamp)>,
    /// Its place in the list, to go on behind it.
    pub place: DuePlace,
}

/// A refund of a held copy that would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRefund {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// How much goes back.
    pub amount_minor: i64,
    /// The currency, three letters.
    pub currency: String,
}

/// Reads of a held copy.
#[async_trait]
pub trait HeldCopyReads: Send + Sync {
    /// Orders placed until then are held; `None`: the database is not held.
    async fn held_since(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Orders placed until `since` of which something is due by itself at any time, behind `after`, at most `limit`. An order that was
    /// looked at meanwhile may come twice.
    async fn held_orders(
        &self,
        since: Timestamp,
        after: Option<DuePlace>,
        limit: u32,
    ) -> Result<Vec<HeldOrder>, StoreError>;
    /// Refunds of orders placed until `since` that are to be sent, at most `limit`.
    async fn held_refunds(&self, since: Timestamp, limit: u32) -> Result<Vec<HeldRefund>, StoreError>;
}
