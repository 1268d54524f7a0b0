//! Drivers.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::dispatch::{Driver, Position};
use crate::domain::location::Location;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

use super::values::{micros, number, parse, time};

/// The columns of [`DriverRow`], of `users u` and `drivers d`.
pub(in crate::storage::sql) const DRIVER_COLUMNS: &str = "u.id, u.name, \
     (u.approved AND u.suspended_at IS NULL) AS approved, u.created_at, d.vehicle, d.capacity, d.zones, \
     d.wanted_zones, d.takes_cash, d.online, d.active, d.ignored, d.waiting_since, d.alive_at, d.lat, d.lng, d.position_at, d.delivered, \
     d.on_time, d.updated_at";

/// The account of a driver, with their row where there is one.
#[derive(FromRow)]
pub(in crate::storage::sql) struct DriverRow {
    id: String,
    name: Option<String>,
    approved: bool,
    created_at: i64,
    vehicle: Option<String>,
    capacity: Option<i64>,
    zones: Option<String>,
    wanted_zones: Option<String>,
    takes_cash: Option<bool>,
    online: Option<bool>,
    active: Option<i64>,
    ignored: Option<i64>,
    waiting_since: Option<i64>,
    alive_at: Option<i64>,
    lat: Option<f64>,
    lng: Option<f64>,
    position_at: Option<i64>,
    delivered: Option<i64>,
    on_time: Option<i64>,
    updated_at: Option<i64>,
}

impl DriverRow {
    pub(in crate::storage::sql) fn into_driver(self) -> Result<Driver, StoreError> {
        let user = parse("users.id", &self.id)?;
        let name = self.name.unwrap_or_default();
        let mut driver = Driver::new(user, name, self.approved, Timestamp::from_micros(self.created_at));
        if let Some(vehicle) = self.vehicle {
            driver.vehicle = parse("drivers.vehicle", &vehicle)?;
        }
        if let Some(capacity) = self.capacity {
            driver.capacity = number("drivers.capacity", capacity)?;
        }
        driver.zones = self.zones.map(|zones| listed(&zones)).unwrap_or_default();
        driver.wanted_zones = self.wanted_zones.map(|zones| listed(&zones));
        driver.takes_cash = self.takes_cash.unwrap_or(driver.takes_cash);
        driver.online = self.online.unwrap_or(false);
        driver.active = number("drivers.active", self.active.unwrap_or(0))?;
        driver.ignored = number("drivers.ignored", self.ignored.unwrap_or(0))?;
        driver.waiting_since = time(self.waiting_since);
        driver.alive_at = time(self.alive_at);
        driver.position = match (self.lat, self.lng, time(self.position_at)) {
            (Some(lat), Some(lng), Some(at)) => Some(Position { location: Location { lat, lng }, at }),
            _ => None,
        };
        driver.delivered = self.delivered.unwrap_or(0);
        driver.on_time = self.on_time.unwrap_or(0);
        driver.updated_at = time(self.updated_at).unwrap_or(driver.updated_at);
        Ok(driver)
    }
}

fn listed(zones: &str) -> Vec<String> {
    zones.lines().filter(|zone| !zone.is_empty()).map(str::to_owned).collect()
}

/// What transactions change of a driver. Positions are written by themselves.
#[derive(Serialize)]
pub(in crate::storage::sql) struct ChangedDriverRow {
    user_id: String,
    vehicle: &'static str,
    capacity: i64,
    zones: String,
    wanted_zones: Option<String>,
    takes_cash: bool,
    online: bool,
    active: i64,
    ignored: i64,
    waiting_since: Option<i64>,
    alive_at: Option<i64>,
    delivered: i64,
    on_time: i64,
    updated_at: i64,
}

impl ChangedDriverRow {
    pub(in crate::storage::sql) fn of(driver: &Driver) -> Self {
        Self {
            user_id: driver.user.to_string(),
            vehicle: driver.vehicle.as_str(),
            capacity: driver.capacity.into(),
            zones: driver.zones.join("\n"),
            wanted_zones: driver.wanted_zones.as_ref().map(|zones| zones.join("\n")),
            takes_cash: driver.takes_cash,
            online: driver.online,
            active: driver.active.into(),
            ignored: driver.ignored.into(),
            waiting_since: micros(driver.waiting_since),
            alive_at: micros(driver.alive_at),
            delivered: driver.delivered,
            on_time: driver.on_time,
            updated_at: driver.updated_at.as_micros(),
        }
    }
}
