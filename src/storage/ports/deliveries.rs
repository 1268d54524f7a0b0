//! Reads of drivers, deliveries and offers.

use async_trait::async_trait;

use crate::domain::delivery::{Delivery, Offer};
use crate::domain::dispatch::{Driver, OtherJob};
use crate::domain::ids::{DeliveryId, OfferId, OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// A driver as a pool takes them in.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolDriver {
    /// The row.
    pub driver: Driver,
    /// What they carry.
    pub jobs: Vec<(OrderId, OtherJob)>,
    /// Whether an offer waits for their answer.
    pub is_asked: bool,
}

/// A delivery with its order, as its driver and operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its order.
    pub order: Order,
}

/// What a driver earned and took in, in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earnings {
    /// The currency.
    pub currency: Currency,
    /// Deliveries that ended with them.
    pub deliveries: u32,
    /// Their payouts, in minor units.
    pub payout_minor: i64,
    /// Cash they took, in minor units.
    pub collected_minor: i64,
}

/// Which drivers an operator lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverFilter {
    /// Only those of a zone.
    pub zone: Option<String>,
    /// Only those who are on, or who are off.
    pub online: Option<bool>,
    /// Only those who wait for an operator: their account or their zones.
    pub waiting: bool,
}

/// Reads of drivers, deliveries and offers. They are of the primary.
#[async_trait]
pub trait DeliveryReads: Send + Sync {
    /// The driver of this account; one who has said nothing about themselves yet is as a new one. `None`: no account of a driver.
    async fn driver(&self, user: UserId) -> Result<Option<Driver>, StoreError>;
    /// Drivers behind `after` in the order of their accounts, at most `limit`.
    async fn drivers(
        &self,
        filter: &DriverFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Driver>, StoreError>;
    /// The zones that drivers work in, at most `limit`.
    async fn driver_zones(&self, limit: u32) -> Result<Vec<String>, StoreError>;
    /// The drivers of a zone who are on, with what they carry, at most `limit`.
    async fn pool_of(&self, zone: &str, limit: u32) -> Result<Vec<PoolDriver>, StoreError>;
    /// Drivers whose rows changed at `since` or later, in the order of their changes, at most `limit`.
    async fn drivers_changed(&self, since: Timestamp, limit: u32) -> Result<Vec<PoolDriver>, StoreError>;
    /// A delivery with its order.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<ListedDelivery>, StoreError>;
    /// An offer.
    async fn offer(&self, id: OfferId) -> Result<Option<Offer>, StoreError>;
    /// The open offers of a driver with their deliveries, the one that ends first before the others.
    async fn open_offers_of(&self, driver: UserId) -> Result<Vec<(Offer, ListedDelivery)>, StoreError>;
    /// The deliveries that a driver carries.
    async fn carried_by(&self, driver: UserId) -> Result<Vec<ListedDelivery>, StoreError>;
    /// The ended deliveries of a driver, the one that they got last before the others, behind `before` (`assigned_at` and id of the last
    /// one that is known), at most `limit`.
    async fn past_of(
        &self,
        driver: UserId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<ListedDelivery>, StoreError>;
    /// What a driver earned by deliveries that ended from `from` until `to`, by currency.
    async fn earnings_of(
        &self,
        driver: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Earnings>, StoreError>;
    /// How many drivers of each zone are on, for the metric.
    async fn online_by_zone(&self, limit: u32) -> Result<Vec<(String, u32)>, StoreError>;
}
