//! Drivers as the store keeps them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::rules::DispatchRules;

string_enum! {
    /// What a driver rides. It limits how far the driver is sent.
    #[derive(Default)]
    pub enum Vehicle {
        /// Nothing: they walk.
        Foot = "foot",
        /// A bicycle of any kind.
        #[default]
        Bicycle = "bicycle",
        /// A scooter or a motorcycle.
        Scooter = "scooter",
        /// A car or a van.
        Car = "car",
    }
}

impl Vehicle {
    /// The longest way from the business to the customer that it is sent, metres.
    pub const fn reach_m(self) -> i64 {
        match self {
            Self::Foot => 2_000,
            Self::Bicycle => 7_000,
            Self::Scooter => 15_000,
            Self::Car => 50_000,
        }
    }
}

/// A position of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Where it is.
    pub location: Location,
    /// When, by the store's time.
    pub at: Timestamp,
}

/// A driver. What is here decides; what a pool believes only ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct Driver {
    /// The account of the driver.
    pub user: UserId,
    /// What customers and businesses call them.
    pub name: String,
    /// An operator has let the account work, and none has suspended it.
    pub approved: bool,
    /// What they ride.
    pub vehicle: Vehicle,
    /// Most deliveries at once, at least 1.
    pub capacity: u8,
    /// The zones they work in, as an operator has approved.
    pub zones: Vec<String>,
    /// The zones they asked for and nobody has approved yet; `None`: nothing is asked for.
    pub wanted_zones: Option<Vec<String>>,
    /// Whether they take cash at the door.
    pub takes_cash: bool,
    /// Whether they want offers.
    pub online: bool,
    /// Deliveries they carry, at most `capacity`.
    pub active: u8,
    /// Offers in a row that they did not answer while they carried nothing.
    pub ignored: u8,
    /// Since when they wait for a delivery: came on, or had the last one delivered.
    pub waiting_since: Option<Timestamp>,
    /// Their last sign of life: a socket, a position, a poll.
    pub alive_at: Option<Timestamp>,
    /// The last position that is stored; at most ten seconds older than what they sent.
    pub position: Option<Position>,
    /// Deliveries they have ended.
    pub delivered: i64,
    /// Those of them that were in time.
    pub on_time: i64,
    /// When the row last changed, positions and signs of life aside.
    pub updated_at: Timestamp,
}

/// What is to be different about a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverChange {
    /// What they ride now.
    pub vehicle: Option<Vehicle>,
    /// Most deliveries at once.
    pub capacity: Option<u8>,
    /// Other zones; an operator has to approve them.
    pub zones: Option<Vec<String>>,
    /// Whether they take cash.
    pub takes_cash: Option<bool>,
}

/// Why something about a driver is not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverRefusal {
    /// No such driver, or no account of a driver.
    NoSuchDriver,
    /// More than the hub allows, or less than they carry now.
    Capacity {
        /// What they carry.
        active: u8,
        /// Most of any driver.
        most: u8,
    },
    /// No zone is approved yet, so that there is nothing to be on for.
    NoZone,
}

/// How much of what drivers ask for has to be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// An operator approves zones.
    Approved,
    /// Zones count as soon as they are asked for.
    AtOnce,
}

impl Driver {
    /// A driver that has said nothing about themselves yet.
    pub fn new(user: UserId, name: String, approved: bool, now: Timestamp) -> Self {
        Self {
            user,
            name,
            approved,
            vehicle: Vehicle::default(),
            capacity: 1,
            zones: Vec::new(),
            wanted_zones: None,
            takes_cash: true,
            online: false,
            active: 0,
            ignored: 0,
            waiting_since: None,
            alive_at: None,
            position: None,
            delivered: 0,
            on_time: 0,
            updated_at: now,
        }
    }

    /// Changes what the driver says about themselves.
    ///
    /// # Errors
    /// A capacity that cannot be; nothing has changed.
    pub fn change(
        &mut self,
        change: DriverChange,
        sharing: Sharing,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Result<(), DriverRefusal> {
        let DriverChange { vehicle, capacity, zones, takes_cash } = change;
        let capacity = capacity.unwrap_or(self.capacity);
        if capacity < self.active.max(1) || (capacity > rules.max_capacity && capacity > self.capacity) {
            return Err(DriverRefusal::Capacity { active: self.active, most: rules.max_capacity });
        }
        self.capacity = capacity;
        self.vehicle = vehicle.unwrap_or(self.vehicle);
        self.takes_cash = takes_cash.unwrap_or(self.takes_cash);
        match (zones, sharing) {
            (Some(zones), Sharing::AtOnce) => (self.zones, self.wanted_zones) = (zones, None),
            // Fewer zones need nobody's consent.
            (Some(zones), Sharing::Approved) if zones.iter().all(|zone| self.zones.contains(zone)) => {
                (self.zones, self.wanted_zones) = (zones, None);
            }
            (Some(zones), Sharing::Approved) => self.wanted_zones = Some(zones),
            (None, _) => {}
        }
        self.updated_at = now;
        Ok(())
    }

    /// The zones that an operator approves; what was asked for is answered with that.
    pub fn approve_zones(&mut self, zones: Vec<String>, now: Timestamp) {
        (self.zones, self.wanted_zones, self.updated_at) = (zones, None, now);
        if self.zones.is_empty() {
            self.set_offline(now);
        }
    }

    /// Lets the driver get offers. Ignored offers are forgotten. Whether anything changed.
    ///
    /// # Errors
    /// There is no zone to be on for.
    pub fn set_online(&mut self, now: Timestamp) -> Result<bool, DriverRefusal> {
        if self.zones.is_empty() {
            return Err(DriverRefusal::NoZone);
        }
        self.alive_at = Some(now);
        let was_online = std::mem::replace(&mut self.online, true);
        if was_online {
            return Ok(false);
        }
        (self.ignored, self.waiting_since, self.updated_at) = (0, Some(now), now);
        Ok(true)
    }

    /// Gives the driver no more offers; what they carry stays theirs. Whether anything changed.
    pub fn set_offline(&mut self, now: Timestamp) -> bool {
        let was_online = std::mem::replace(&mut self.online, false);
        if was_online {
            (self.waiting_since, self.updated_at) = (None, now);
        }
        was_online
    }

    /// Closes the account: they are off, and may not work any more.
    pub fn suspend(&mut self, now: Timestamp) {
        self.set_offline(now);
        (self.approved, self.updated_at) = (false, now);
    }

    /// Whether they have room for one more delivery.
    pub const fn has_room(&self) -> bool {
        self.active < self.capacity
    }

    /// Whether they can be asked: they want to be, are alive and have room.
    pub fn can_be_asked(&self, zone: &str, is_cash: bool, rules: &DispatchRules, now: Timestamp) -> bool {
        self.approved
            && self.online
            && self.has_room()
            && self.zones.iter().any(|own| own == zone)
            && (self.takes_cash || !is_cash)
            && !self.is_silent(rules.alive, now)
    }

    /// Whether no sign of life has come for so long.
    pub fn is_silent(&self, limit: Duration, now: Timestamp) -> bool {
        self.alive_at.is_none_or(|alive| now.since(alive) > limit)
    }

    /// Takes on one more delivery. There has to be room.
    pub(in crate::domain) fn take(&mut self, now: Timestamp) {
        self.active += 1;
        (self.ignored, self.waiting_since, self.updated_at) = (0, None, now);
    }

    /// Has one delivery less.
    pub(in crate::domain) fn release(&mut self, now: Timestamp) {
        self.active = self.active.saturating_sub(1);
        self.updated_at = now;
        if self.active == 0 && self.online {
            self.waiting_since = Some(now);
        }
    }

    /// Notes an offer that was not answered. Whether that sets them offline: the third in a row, while they carry nothing.
    pub(in crate::domain) fn ignored_offer(&mut self, rules: &DispatchRules, now: Timestamp) -> bool {
        if self.active > 0 || !self.online {
            return false;
        }
        self.ignored = self.ignored.saturating_add(1);
        self.updated_at = now;
        self.ignored >= rules.ignored_offline && self.set_offline(now)
    }

    /// Notes that they answered an offer.
    pub(in crate::domain) fn answered(&mut self, now: Timestamp) {
        if self.ignored > 0 {
            (self.ignored, self.updated_at) = (0, now);
        }
    }

    /// Takes a newer position. One that is not newer, or too old, is left. Whether it was taken.
    pub fn moved_to(&mut self, position: Position, now: Timestamp) -> bool {
        let is_newer = self.position.is_none_or(|last| last.at < position.at);
        let is_recent = now.since(position.at) <= MAX_POSITION_AGE;
        if !is_newer || !is_recent {
            return false;
        }
        (self.position, self.alive_at) = (Some(position), Some(now));
        true
    }
}

/// A position older than this is of no use.
pub(super) const MAX_POSITION_AGE: Duration = Duration::from_secs(60);

impl Driver {
    /// Notes a delivery that ended with them.
    pub(in crate::domain) fn ended_one(&mut self, is_in_time: bool) {
        self.delivered += 1;
        self.on_time += i64::from(is_in_time);
    }
}
