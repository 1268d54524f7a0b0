//! The deliveries, offers and drivers of a batch: locked behind the orders, each by id, changed in memory, written together.
//!
//! A delivery is changed under the lock of its order. An offer is closed by whoever holds its row: the transaction of its order, or one
//! in which its driver accepts something else or goes off. Whoever opens an offer holds the row of its driver.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::delivery::{Delivery, Offer, OfferEnd, OfferState, OrderDelivery};
use crate::domain::dispatch::Driver;
use crate::domain::ids::{DeliveryId, OfferId, OrderId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{DeliveryRow, DriverRow, OfferRow};
use crate::storage::sql::statement::Arg;

mod reading;
mod statements;
mod writing;

use statements::{LOCK_DELIVERIES, LOCK_DRIVERS, LOCK_OFFERS, MAKE_DRIVERS, OPEN_OFFERS, SILENT_DRIVERS};

/// What a batch has to lock.
#[derive(Default)]
pub(super) struct DeliveryWants {
    /// Orders that have a delivery.
    pub(super) orders: BTreeSet<OrderId>,
    /// Offers that are answered.
    pub(super) offers: BTreeSet<OfferId>,
    /// Drivers who may change.
    pub(super) drivers: BTreeSet<UserId>,
    /// Those of them whose open offers may be withdrawn.
    pub(super) withdrawing: BTreeSet<UserId>,
    /// Those of them who may have no row yet.
    pub(super) unmade: BTreeSet<UserId>,
    /// Those of them who may be asked.
    pub(super) candidates: BTreeSet<UserId>,
}

#[derive(Serialize)]
struct WantedOffer {
    order_id: Option<OrderId>,
    driver_id: Option<UserId>,
    offer_id: Option<OfferId>,
}

/// A step that somebody reported.
#[derive(Serialize)]
pub(super) struct StepRow {
    pub(super) order_id: OrderId,
    /// Counts those of the batch for this order; set when it is added.
    pub(super) n: i64,
    pub(super) step: &'static str,
    pub(super) party: &'static str,
    pub(super) user_id: Option<UserId>,
    pub(super) at: i64,
    pub(super) said_at: Option<i64>,
    pub(super) late: bool,
    pub(super) far_m: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) proof: Option<String>,
    pub(super) created_at: i64,
}

#[derive(Default)]
pub(super) struct Deliveries {
    stored: BTreeMap<OrderId, OrderDelivery>,
    present: BTreeMap<OrderId, OrderDelivery>,
    stored_drivers: BTreeMap<UserId, Driver>,
    drivers: BTreeMap<UserId, Driver>,
    /// Offers of deliveries that are not of this batch, locked.
    others: BTreeMap<OfferId, Offer>,
    closed: BTreeSet<OfferId>,
    /// Open offers of drivers who may be asked, as they were read.
    asked: BTreeMap<OfferId, UserId>,
    steps: Vec<StepRow>,
}

impl Deliveries {
    /// Locks and reads what a batch wants. Orders are locked already.
    pub(super) async fn load(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        wants: DeliveryWants,
        now: Timestamp,
    ) -> Result<(), TxError> {
        let DeliveryWants { orders, offers, mut drivers, withdrawing, unmade, candidates } = wants;
        if !unmade.is_empty() {
            let args = [Arg::texts(&unmade), Arg::Int(now.as_micros())];
            connection.execute(&MAKE_DRIVERS, &args).await?;
        }
        let mut read = BTreeMap::new();
        if !orders.is_empty() {
            for row in connection.fetch::<DeliveryRow>(&LOCK_DELIVERIES, &[Arg::texts(&orders)]).await? {
                let delivery = row.into_delivery(cipher)?;
                drivers.extend(delivery.driver);
                read.insert(delivery.id, (delivery, Vec::new()));
            }
        }
        self.lock_offers(connection, &mut read, (&withdrawing, &offers)).await?;
        let mut ignored = Self::ignored(connection, read.values().map(|(delivery, _)| delivery)).await?;
        for (delivery, offers) in read.into_values() {
            let open = offers.iter().filter(|offer: &&Offer| offer.state == OfferState::Open);
            drivers.extend(open.map(|offer| offer.driver));
            let order = delivery.order;
            let ignored_by = ignored.remove(&order).unwrap_or_default();
            let delivery = OrderDelivery::stored(delivery, offers, ignored_by);
            self.stored.insert(order, delivery.clone());
            self.present.insert(order, delivery);
        }
        if !drivers.is_empty() {
            for row in connection.fetch::<DriverRow>(&LOCK_DRIVERS, &[Arg::texts(&drivers)]).await? {
                self.take_in(row.into_driver()?);
            }
        }
        self.read_asked(connection, &candidates).await
    }

    async fn lock_offers(
        &mut self,
        connection: &mut Connection,
        read: &mut BTreeMap<DeliveryId, (Delivery, Vec<Offer>)>,
        (drivers, offers): (&BTreeSet<UserId>, &BTreeSet<OfferId>),
    ) -> Result<(), TxError> {
        let mut rows: Vec<WantedOffer> = Vec::new();
        let row = |order_id, driver_id, offer_id| WantedOffer { order_id, driver_id, offer_id };
        rows.extend(read.values().map(|(delivery, _)| row(Some(delivery.order), None, None)));
        rows.extend(drivers.iter().map(|driver| row(None, Some(*driver), None)));
        rows.extend(offers.iter().map(|offer| row(None, None, Some(*offer))));
        if rows.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<OfferRow>(&LOCK_OFFERS, &[Arg::rows(&rows)]).await? {
            let offer = row.into_offer()?;
            match read.get_mut(&offer.delivery) {
                Some((_, offers)) => offers.push(offer),
                None => _ = self.others.insert(offer.id, offer),
            }
        }
        Ok(())
    }

    fn take_in(&mut self, driver: Driver) {
        self.stored_drivers.insert(driver.user, driver.clone());
        self.drivers.insert(driver.user, driver);
    }

    /// Takes in drivers of whom nothing was heard since, at most `limit`, with their open offers. Those of this batch are left alone.
    pub(super) async fn load_silent(
        &mut self,
        connection: &mut Connection,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<UserId>, TxError> {
        let args = [Arg::Int(since.as_micros()), Arg::Int(limit.into())];
        let mut silent = Vec::new();
        for row in connection.fetch::<DriverRow>(&SILENT_DRIVERS, &args).await? {
            let driver = row.into_driver()?;
            if !self.drivers.contains_key(&driver.user) {
                silent.push(driver.user);
                self.take_in(driver);
            }
        }
        if !silent.is_empty() {
            for row in connection.fetch::<OfferRow>(&OPEN_OFFERS, &[Arg::texts(&silent)]).await? {
                let offer = row.into_offer()?;
                if self.delivery_of(&offer).is_none() {
                    self.others.entry(offer.id).or_insert(offer);
                }
            }
        }
        Ok(silent)
    }

    fn delivery_of(&self, offer: &Offer) -> Option<&OrderDelivery> {
        self.present.get(&offer.order)
    }

    /// The delivery of an order as it is now, if it was read or begun.
    pub(super) fn get(&self, order: OrderId) -> Option<&OrderDelivery> {
        self.present.get(&order)
    }

    /// The delivery of an order and the drivers, to be changed.
    pub(super) fn get_mut(
        &mut self,
        order: OrderId,
    ) -> Option<(&mut OrderDelivery, &mut BTreeMap<UserId, Driver>)> {
        Some((self.present.get_mut(&order)?, &mut self.drivers))
    }

    /// Puts a delivery and its driver back as they were.
    pub(super) fn put_back(&mut self, delivery: OrderDelivery, driver: Option<Driver>) {
        self.present.insert(delivery.delivery().order, delivery);
        self.drivers.extend(driver.map(|driver| (driver.user, driver)));
    }

    /// Takes in a new delivery.
    pub(super) fn put(&mut self, order: OrderId, delivery: OrderDelivery) {
        self.present.insert(order, delivery);
    }

    pub(super) fn driver(&self, user: UserId) -> Option<&Driver> {
        self.drivers.get(&user)
    }

    pub(super) fn driver_mut(&mut self, user: UserId) -> Option<&mut Driver> {
        self.drivers.get_mut(&user)
    }

    /// Drivers with an open offer of another delivery than that of `order`.
    pub(super) fn asked_for_others(&self, order: OrderId) -> BTreeSet<UserId> {
        let is_known = |id: &OfferId| {
            self.others.contains_key(id) || self.present.values().any(|one| one.offer(*id).is_some())
        };
        let read = self.asked.iter().filter(|(id, _)| !is_known(id)).map(|(_, driver)| *driver);
        read.chain(self.open_offers().filter(|offer| offer.order != order).map(|offer| offer.driver))
            .collect()
    }

    fn open_offers(&self) -> impl Iterator<Item = &Offer> {
        let of_batch = self.present.values().flat_map(OrderDelivery::offers);
        of_batch.chain(self.others.values()).filter(|offer| offer.state == OfferState::Open)
    }

    /// Orders of this batch in which a driver has an open offer.
    pub(super) fn asking(&self, driver: UserId) -> Vec<OrderId> {
        let asks = |delivery: &OrderDelivery| {
            delivery.offers().iter().any(|offer| offer.driver == driver && offer.state == OfferState::Open)
        };
        self.present.iter().filter(|(_, delivery)| asks(delivery)).map(|(order, _)| *order).collect()
    }

    /// Withdraws the open offers of a driver that are of other deliveries than those of this batch, and gives them.
    pub(super) fn withdraw_others(&mut self, driver: UserId, now: Timestamp) -> Vec<Offer> {
        let mut withdrawn = Vec::new();
        for offer in self.others.values_mut() {
            if offer.driver == driver && offer.state == OfferState::Open {
                offer.close(OfferEnd::Withdrawn, now);
                self.closed.insert(offer.id);
                withdrawn.push(offer.clone());
            }
        }
        withdrawn
    }

    /// Keeps a step that was reported.
    pub(super) fn add_step(&mut self, mut step: StepRow) {
        let before = self.steps.iter().filter(|other| other.order_id == step.order_id).count();
        step.n = i64::try_from(before).unwrap_or(0) + 1;
        self.steps.push(step);
    }
}
