//! What drivers and operators say about drivers.

use serde_json::json;

use crate::domain::dispatch::{Driver, DriverRefusal};
use crate::domain::ids::UserId;
use crate::domain::zone::ZoneName;
use crate::storage::commands::{ApproveZones, ChangeDriver, EndSilentDrivers, Outcome, SetDriverOnline};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::audit::AuditEntry;
use super::Transaction;

impl Transaction<'_> {
    pub(super) fn change_driver(&mut self, wish: &ChangeDriver) -> Answer {
        let (now, clocks) = (self.now, self.clocks.clone());
        let changed = self.with_driver(wish.driver, |driver| {
            let change = driver.change(wish.change.clone(), wish.sharing, &clocks.dispatch, now);
            learn(driver);
            change
        });
        self.follow_driver(wish.driver);
        Outcome::DriverChanged(changed).into()
    }

    /// Open offers of a driver who goes off are withdrawn; what they carry stays.
    pub(super) fn set_driver_online(&mut self, wish: SetDriverOnline) -> Answer {
        let now = self.now;
        let changed = self.with_driver(wish.driver, |driver| {
            if !wish.online {
                driver.set_offline(now);
                return Ok(());
            }
            if !driver.approved {
                return Err(DriverRefusal::NoSuchDriver);
            }
            driver.set_online(now).map(drop)
        });
        self.follow_driver(wish.driver);
        Outcome::DriverChanged(changed).into()
    }

    pub(super) fn approve_zones(&mut self, wish: &ApproveZones) -> Answer {
        let now = self.now;
        let changed = self.with_driver(wish.driver, |driver| {
            driver.approve_zones(wish.zones.clone(), now);
            learn(driver);
            Ok(())
        });
        if changed.is_ok() {
            self.audits.push(AuditEntry {
                user: Some(wish.user),
                action: "driver_zones_approved",
                target: wish.driver.to_string(),
                detail: json!({ "zones": wish.zones }),
            });
        }
        self.follow_driver(wish.driver);
        Outcome::DriverChanged(changed).into()
    }

    /// Sets drivers offline of whom nothing was heard for longer than a sign of life and an outage take together: while the hub itself
    /// may have been away, nobody is called silent.
    pub(super) async fn end_silent_drivers(&mut self, wish: EndSilentDrivers) -> Result<Answer, TxError> {
        let limit = self.clocks.dispatch.alive + self.clocks.outage;
        let since = self.now.minus(limit);
        if self.facts.grace().is_some_and(|grace| grace.outage_ended_at > since) {
            return Ok(Outcome::Purged(0).into());
        }
        let silent = self.deliveries.load_silent(self.connection, since, wish.limit).await?;
        for user in &silent {
            if let Some(driver) = self.deliveries.driver_mut(*user) {
                driver.set_offline(self.now);
            }
            self.withdraw_offers_of(*user);
        }
        Ok(Outcome::Purged(silent.len() as u64).into())
    }

    fn with_driver(
        &mut self,
        user: UserId,
        change: impl FnOnce(&mut Driver) -> Result<(), DriverRefusal>,
    ) -> Result<(), DriverRefusal> {
        self.deliveries.driver_mut(user).map_or(Err(DriverRefusal::NoSuchDriver), change)
    }

    /// Whoever is off is asked no more.
    fn follow_driver(&mut self, user: UserId) {
        if self.deliveries.driver(user).is_some_and(|driver| !driver.online) {
            self.withdraw_offers_of(user);
        }
    }
}

/// The zones of drivers are rooms of operators.
fn learn(driver: &Driver) {
    for zone in &driver.zones {
        ZoneName::learn(zone);
    }
}
