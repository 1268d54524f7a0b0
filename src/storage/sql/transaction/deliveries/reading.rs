//! What a batch reads of deliveries and offers without a lock of its own.

use std::collections::{BTreeMap, BTreeSet};

use sqlx_macros::FromRow;

use crate::domain::delivery::{Delivery, OrderDelivery};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::Arg;

use super::Deliveries;
use super::statements::{ASKED, CARRIED, IGNORED};

#[derive(FromRow)]
struct AskedRow {
    id: String,
    driver_id: String,
}

#[derive(FromRow)]
struct CarriedRow {
    order_id: String,
    business_id: String,
}

#[derive(FromRow)]
struct IgnoredRow {
    order_id: String,
    driver_id: String,
}

impl Deliveries {
    /// Who did not answer, of deliveries for which somebody is searched.
    pub(super) async fn ignored<'d>(
        connection: &mut Connection,
        deliveries: impl Iterator<Item = &'d Delivery>,
    ) -> Result<BTreeMap<OrderId, Vec<UserId>>, TxError> {
        let searched: Vec<OrderId> =
            deliveries.filter(|one| one.status.is_searched()).map(|one| one.order).collect();
        let mut ignored = BTreeMap::<OrderId, Vec<UserId>>::new();
        if searched.is_empty() {
            return Ok(ignored);
        }
        for row in connection.fetch::<IgnoredRow>(&IGNORED, &[Arg::texts(&searched)]).await? {
            let order = parse("offers.order_id", &row.order_id)?;
            ignored.entry(order).or_default().push(parse("offers.driver_id", &row.driver_id)?);
        }
        Ok(ignored)
    }

    /// Orders whose delivery this driver carries, with their businesses.
    pub(in crate::storage::sql::transaction) async fn carried_by(
        &self,
        connection: &mut Connection,
        driver: UserId,
    ) -> Result<BTreeSet<(OrderId, BusinessId)>, TxError> {
        let of_batch = self.present.values().map(OrderDelivery::delivery);
        let of_batch = of_batch.filter(|one| one.counts && one.driver == Some(driver));
        let mut carried: BTreeSet<_> = of_batch.map(|one| (one.order, one.business)).collect();
        for row in connection.fetch::<CarriedRow>(&CARRIED, &[Arg::text(driver)]).await? {
            let order = parse("deliveries.order_id", &row.order_id)?;
            carried.insert((order, parse("deliveries.business_id", &row.business_id)?));
        }
        Ok(carried)
    }

    /// Open offers of drivers who may be asked.
    pub(super) async fn read_asked(
        &mut self,
        connection: &mut Connection,
        candidates: &BTreeSet<UserId>,
    ) -> Result<(), TxError> {
        if candidates.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<AskedRow>(&ASKED, &[Arg::texts(candidates)]).await? {
            self.asked.insert(parse("offers.id", &row.id)?, parse("offers.driver_id", &row.driver_id)?);
        }
        Ok(())
    }
}
