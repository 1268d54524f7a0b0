//! Drivers, deliveries and offers.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::delivery::{Delivery, DeliveryStatus, Offer};
use crate::domain::dispatch::{Driver, OtherJob};
use crate::domain::ids::{DeliveryId, OfferId, OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::{DeliveryReads, DriverFilter, Earnings, ListedDelivery, PoolDriver};
use crate::storage::sql::rows::{
    AFTER_ALL, DeliveryRow, DriverRow, OfferRow, OrderRow, corrupt, number, opened_address, parse,
};
use crate::storage::sql::statement::{Arg, Statement};
use crate::storage::sql::store::SqlStore;

use super::order_items::with_lines;

mod statements;

#[cfg(test)]
pub(super) use statements::STATEMENTS;
use statements::{
    CARRIED, CHANGED, DELIVERIES, DELIVERY, DRIVER, DRIVERS, EARNINGS, JOBS, OFFER, ONLINE, OPEN_OFFERS,
    ORDERS, PAST, POOL, ZONES,
};

/// The longest that a driver can have a delivery which counts for what they earned.
const LONGEST: Duration = Duration::from_secs(48 * 60 * 60);

#[derive(FromRow)]
struct PoolRow {
    #[sqlx(flatten)]
    driver: DriverRow,
    is_asked: bool,
}

#[derive(FromRow)]
struct JobRow {
    driver_id: String,
    status: String,
    id: String,
    business_id: String,
    ready_at: Option<i64>,
    address: Option<String>,
    created_at: i64,
}

/// What a driver carries, and for which order.
type CarriedJob = (UserId, (OrderId, OtherJob));

impl JobRow {
    fn into_job(self, cipher: &Cipher) -> Result<Option<CarriedJob>, StoreError> {
        let Some(address) = &self.address else { return Ok(None) };
        let status: DeliveryStatus = parse("deliveries.status", &self.status)?;
        let job = OtherJob {
            business: parse("orders.business_id", &self.business_id)?,
            ready_at: Timestamp::from_micros(self.ready_at.unwrap_or(self.created_at)),
            dropoff: opened_address(&self.id, address, cipher)?.location,
            is_under_way: status.is_under_way(),
        };
        let driver = parse("deliveries.driver_id", &self.driver_id)?;
        Ok(Some((driver, (parse("orders.id", &self.id)?, job))))
    }
}

#[derive(FromRow)]
struct ZoneRow {
    zone: String,
}

#[derive(FromRow)]
struct OnlineRow {
    zone: String,
    drivers: i64,
}

#[derive(FromRow)]
struct EarningsRow {
    currency: String,
    deliveries: i64,
    payout_minor: i64,
    collected_minor: i64,
}

impl SqlStore {
    async fn pool_drivers(&self, statement: &Statement, args: &[Arg]) -> Result<Vec<PoolDriver>, StoreError> {
        let rows: Vec<PoolRow> = self.fetch(statement, args).await?;
        let pooled = |row: PoolRow| Ok((row.driver.into_driver()?, row.is_asked));
        let drivers: Vec<(Driver, bool)> = rows.into_iter().map(pooled).collect::<Result<_, StoreError>>()?;
        let carry: Vec<UserId> =
            drivers.iter().filter(|(driver, _)| driver.active > 0).map(|(driver, _)| driver.user).collect();
        let mut jobs: HashMap<UserId, Vec<(OrderId, OtherJob)>> = HashMap::new();
        if !carry.is_empty() {
            for row in self.fetch::<JobRow>(&JOBS, &[Arg::texts(&carry)]).await? {
                if let Some((driver, job)) = row.into_job(&self.cipher)? {
                    jobs.entry(driver).or_default().push(job);
                }
            }
        }
        let pooled = |(driver, is_asked): (Driver, bool)| PoolDriver {
            jobs: jobs.remove(&driver.user).unwrap_or_default(),
            driver,
            is_asked,
        };
        Ok(drivers.into_iter().map(pooled).collect())
    }

    /// Deliveries with their orders, in the order of the rows.
    async fn listed(&self, rows: Vec<DeliveryRow>) -> Result<Vec<ListedDelivery>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Arg::texts(rows.iter().map(|row| &row.order_id));
        let orders: Vec<OrderRow> = self.fetch(&ORDERS, &[ids]).await?;
        let orders = with_lines(self, orders).await?.into_iter();
        let mut orders: HashMap<OrderId, Order> = orders.map(|order| (order.id, order)).collect();
        let mut listed = Vec::with_capacity(rows.len());
        for row in rows {
            let delivery: Delivery = row.into_delivery(&self.cipher)?;
            let order = orders.remove(&delivery.order).ok_or_else(|| corrupt("deliveries.order_id"))?;
            listed.push(ListedDelivery { delivery, order });
        }
        Ok(listed)
    }
}

#[async_trait]
impl DeliveryReads for SqlStore {
    async fn driver(&self, user: UserId) -> Result<Option<Driver>, StoreError> {
        let row: Option<DriverRow> = self.fetch_first(&DRIVER, &[Arg::text(user)]).await?;
        row.map(DriverRow::into_driver).transpose()
    }

    async fn drivers(
        &self,
        filter: &DriverFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Driver>, StoreError> {
        let args = [
            Arg::Text(after.map(|user| user.to_string()).unwrap_or_default()),
            Arg::Int(limit.into()),
            Arg::text(filter.zone.as_deref().unwrap_or_default()),
            Arg::OptBool(filter.online),
            Arg::Bool(filter.waiting),
        ];
        let rows: Vec<DriverRow> = self.fetch(&DRIVERS, &args).await?;
        rows.into_iter().map(DriverRow::into_driver).collect()
    }

    async fn driver_zones(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let rows: Vec<ZoneRow> = self.fetch(&ZONES, &[Arg::Int(limit.into())]).await?;
        Ok(rows.into_iter().map(|row| row.zone).collect())
    }

    async fn pool_of(&self, zone: &str, limit: u32) -> Result<Vec<PoolDriver>, StoreError> {
        self.pool_drivers(&POOL, &[Arg::text(zone), Arg::Int(limit.into())]).await
    }

    async fn drivers_changed(&self, since: Timestamp, limit: u32) -> Result<Vec<PoolDriver>, StoreError> {
        self.pool_drivers(&CHANGED, &[Arg::Int(since.as_micros()), Arg::Int(limit.into())]).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<ListedDelivery>, StoreError> {
        let rows: Vec<DeliveryRow> = self.fetch(&DELIVERY, &[Arg::text(id)]).await?;
        Ok(self.listed(rows).await?.pop())
    }

    async fn offer(&self, id: OfferId) -> Result<Option<Offer>, StoreError> {
        let row: Option<OfferRow> = self.fetch_first(&OFFER, &[Arg::text(id)]).await?;
        row.map(OfferRow::into_offer).transpose()
    }

    async fn open_offers_of(&self, driver: UserId) -> Result<Vec<(Offer, ListedDelivery)>, StoreError> {
        let rows: Vec<OfferRow> = self.fetch(&OPEN_OFFERS, &[Arg::text(driver)]).await?;
        let offers: Vec<Offer> = rows.into_iter().map(OfferRow::into_offer).collect::<Result<_, _>>()?;
        if offers.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Arg::texts(offers.iter().map(|offer| offer.delivery));
        let listed = self.listed(self.fetch(&DELIVERIES, &[ids]).await?).await?.into_iter();
        let mut listed: HashMap<DeliveryId, ListedDelivery> =
            listed.map(|listed| (listed.delivery.id, listed)).collect();
        let with_delivery = |offer: Offer| {
            let listed = listed.remove(&offer.delivery).ok_or_else(|| corrupt("offers.delivery_id"))?;
            Ok((offer, listed))
        };
        offers.into_iter().map(with_delivery).collect()
    }

    async fn carried_by(&self, driver: UserId) -> Result<Vec<ListedDelivery>, StoreError> {
        self.listed(self.fetch(&CARRIED, &[Arg::text(driver)]).await?).await
    }

    async fn past_of(
        &self,
        driver: UserId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<ListedDelivery>, StoreError> {
        let (at, id) =
            before.map_or((i64::MAX, AFTER_ALL.to_owned()), |(at, id)| (at.as_micros(), id.to_string()));
        let args = [Arg::text(driver), Arg::Int(at), Arg::Text(id), Arg::Int(limit.into())];
        self.listed(self.fetch(&PAST, &args).await?).await
    }

    async fn earnings_of(
        &self,
        driver: UserId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Earnings>, StoreError> {
        let micros = |at: Timestamp| Arg::Int(at.as_micros());
        let args = [Arg::text(driver), micros(from), micros(to), micros(from.minus(LONGEST))];
        let earned = |row: EarningsRow| {
            Ok(Earnings {
                currency: Currency::stored(&row.currency).map_err(|_| corrupt("deliveries.currency"))?,
                deliveries: number("count", row.deliveries)?,
                payout_minor: row.payout_minor,
                collected_minor: row.collected_minor,
            })
        };
        self.fetch::<EarningsRow>(&EARNINGS, &args).await?.into_iter().map(earned).collect()
    }

    async fn online_by_zone(&self, limit: u32) -> Result<Vec<(String, u32)>, StoreError> {
        let rows: Vec<OnlineRow> = self.fetch(&ONLINE, &[Arg::Int(limit.into())]).await?;
        rows.into_iter().map(|row| Ok((row.zone, number("count", row.drivers)?))).collect()
    }
}
