//! Writing what a batch changed of deliveries, offers and drivers.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::delivery::{Offer, OfferState};
use crate::domain::dispatch::Driver;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::commands::DriverNow;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{ChangedDriverRow, DeliveryRow, OfferRow};
use crate::storage::sql::statement::Arg;

use super::Deliveries;
use super::statements::{
    DELETE_ZONES, INSERT_DELIVERIES, INSERT_STEPS, INSERT_ZONES, UPDATE_DELIVERIES, UPDATE_DRIVERS,
    WRITE_OFFERS,
};

#[derive(Serialize)]
struct ZoneRow<'a> {
    zone: &'a str,
    user_id: UserId,
}

impl Deliveries {
    /// Offers that were opened or closed, the closed ones first: a driver has one open offer of a delivery.
    fn changed_offers(&self) -> Vec<&Offer> {
        let mut changed: Vec<&Offer> =
            self.others.values().filter(|one| self.closed.contains(&one.id)).collect();
        for (order, delivery) in &self.present {
            let stored = self.stored.get(order);
            let is_new = |offer: &&Offer| stored.and_then(|stored| stored.offer(offer.id)) != Some(*offer);
            changed.extend(delivery.offers().iter().filter(is_new));
        }
        changed.sort_by_key(|offer| (offer.state == OfferState::Open, offer.id));
        changed
    }

    /// Writes what has changed, a statement each for what there is. Gives the drivers whose rows it wrote.
    pub(in crate::storage::sql::transaction) async fn write(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        now: Timestamp,
    ) -> Result<Vec<DriverNow>, TxError> {
        self.write_deliveries(connection, cipher).await?;
        let changed = self.changed_offers();
        let rows: Vec<OfferRow> = changed.iter().map(|offer| OfferRow::of(offer)).collect();
        // Other nodes hear by their rows that they are asked, or no more.
        let concerned: BTreeSet<UserId> = changed.iter().map(|offer| offer.driver).collect();
        if !rows.is_empty() {
            connection.execute(&WRITE_OFFERS, &[Arg::rows(&rows)]).await?;
        }
        for driver in concerned {
            if let Some(driver) = self.drivers.get_mut(&driver) {
                driver.updated_at = now;
            }
        }
        if !self.steps.is_empty() {
            connection.execute(&INSERT_STEPS, &[Arg::rows(&self.steps)]).await?;
        }
        self.write_drivers(connection).await
    }

    async fn write_deliveries(&self, connection: &mut Connection, cipher: &Cipher) -> Result<(), TxError> {
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (order, delivery) in &self.present {
            match self.stored.get(order) {
                None => new.push(DeliveryRow::sealed(delivery.delivery(), cipher)?),
                Some(stored) if stored.delivery() != delivery.delivery() => {
                    changed.push(DeliveryRow::of(delivery.delivery()));
                }
                Some(_) => {}
            }
        }
        if !new.is_empty() {
            connection.execute(&INSERT_DELIVERIES, &[Arg::rows(&new)]).await?;
        }
        if !changed.is_empty() {
            connection.execute(&UPDATE_DELIVERIES, &[Arg::rows(&changed)]).await?;
        }
        Ok(())
    }

    async fn write_drivers(&self, connection: &mut Connection) -> Result<Vec<DriverNow>, TxError> {
        let is_changed = |driver: &&Driver| self.stored_drivers.get(&driver.user) != Some(*driver);
        let changed: Vec<&Driver> = self.drivers.values().filter(is_changed).collect();
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ChangedDriverRow> = changed.iter().map(|driver| ChangedDriverRow::of(driver)).collect();
        connection.execute(&UPDATE_DRIVERS, &[Arg::rows(&rows)]).await?;
        let elsewhere = |driver: &&&Driver| {
            self.stored_drivers.get(&driver.user).is_none_or(|stored| stored.zones != driver.zones)
        };
        let moved: Vec<&&Driver> = changed.iter().filter(elsewhere).collect();
        if !moved.is_empty() {
            let users = Arg::texts(moved.iter().map(|driver| driver.user));
            connection.execute(&DELETE_ZONES, &[users]).await?;
            let zones = moved
                .iter()
                .flat_map(|driver| driver.zones.iter().map(|zone| ZoneRow { zone, user_id: driver.user }));
            let zones: Vec<ZoneRow<'_>> = zones.collect();
            if !zones.is_empty() {
                connection.execute(&INSERT_ZONES, &[Arg::rows(&zones)]).await?;
            }
        }
        let asked: BTreeSet<UserId> = self.open_offers().map(|offer| offer.driver).collect();
        let told = |driver: &&Driver| DriverNow {
            driver: (*driver).clone(),
            is_asked: asked.contains(&driver.user),
        };
        Ok(changed.iter().map(told).collect())
    }
}
