//! What this node heard of drivers: the latest position of each, when they were last heard, and what has not been passed on or stored yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::dispatch::Position;
use crate::domain::ids::{BusinessId, DeliveryId, OrderId, UserId};
use crate::domain::location::Location;
use crate::domain::time::Timestamp;
use crate::storage::commands::DriverSeen;

use super::settings::{
    FORGET_AFTER, KNOWN_FOR, MAX_AGE, MAX_DRIVERS, PASS_EVERY, STEADY_FOR, STEADY_LAG, WRONG_CLOCK,
};

/// A delivery that a driver carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) delivery: DeliveryId,
    pub(super) order: OrderId,
    pub(super) business: BusinessId,
    /// Whether the food is with the driver: then the customer sees where it is.
    pub(super) is_under_way: bool,
}

/// What the store says of a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) zones: Vec<String>,
    pub(super) carried: Vec<Carried>,
}

/// A position to pass on, and what decides to whom.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    pub(super) driver: UserId,
    pub(super) position: Position,
    pub(super) known: Arc<Known>,
}

/// What follows from something that was heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// Nothing at once.
    Noted,
    /// The driver is not known yet: the store has to be asked.
    Unknown,
    /// A position is passed on.
    Pass(Pass),
    /// The node remembers as many drivers as it may.
    Full,
}

#[derive(Debug)]
struct DriverHeard {
    position: Option<Position>,
    alive_at: Timestamp,
    /// When a position was last passed on.
    passed_at: Option<Timestamp>,
    /// The latest position was not passed on yet.
    is_unpassed: bool,
    /// The position, or only the sign of life, is not stored yet.
    is_unstored: bool,
    is_moved: bool,
    /// A position was stored from here: others are in no hurry.
    was_stored: bool,
    known: Option<Arc<Known>>,
    /// When the store was last asked; `None`: it is to be asked now.
    read_at: Option<Timestamp>,
    /// Since when positions lag behind by about the same time.
    lag: Option<(Timestamp, Duration)>,
}

impl DriverHeard {
    fn new(now: Timestamp) -> Self {
        Self {
            position: None,
            alive_at: now,
            passed_at: None,
            is_unpassed: false,
            is_unstored: true,
            is_moved: false,
            was_stored: false,
            known: None,
            read_at: None,
            lag: None,
        }
    }

    /// The time of a position by the hub's clock: the device's where it can be right, the present where the device's clock is wrong;
    /// `None` for a position that is too old.
    fn time_of(&mut self, said: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let Some(said) = said.filter(|said| *said <= now) else { return Some(now) };
        let lag = now.since(said);
        if lag <= MAX_AGE {
            self.lag = None;
            return Some(said);
        }
        if lag > WRONG_CLOCK {
            return Some(now);
        }
        match self.lag {
            Some((since, known)) if known.abs_diff(lag) <= STEADY_LAG => {
                (now.since(since) >= STEADY_FOR).then_some(now)
            }
            _ => {
                self.lag = Some((now, lag));
                None
            }
        }
    }

    fn pass(&mut self, driver: UserId, now: Timestamp) -> Option<Pass> {
        let is_early = self.passed_at.is_some_and(|at| now.since(at) < PASS_EVERY);
        if !self.is_unpassed || is_early {
            return None;
        }
        let (position, known) = (self.position?, self.known.clone()?);
        (self.is_unpassed, self.passed_at) = (false, Some(now));
        Some(Pass { driver, position, known })
    }
}

/// The drivers that this node has heard of lately, at most [`MAX_DRIVERS`].
#[derive(Debug, Default)]
pub(super) struct PositionState {
    drivers: HashMap<UserId, DriverHeard>,
}

impl PositionState {
    fn entry(&mut self, driver: UserId, now: Timestamp) -> Option<&mut DriverHeard> {
        if !self.drivers.contains_key(&driver) && self.drivers.len() >= MAX_DRIVERS {
            return None;
        }
        let heard = self.drivers.entry(driver).or_insert_with(|| DriverHeard::new(now));
        (heard.alive_at, heard.is_unstored) = (heard.alive_at.max(now), true);
        Some(heard)
    }

    /// A sign of life.
    pub(super) fn alive(&mut self, driver: UserId, now: Timestamp) -> Heard {
        match self.entry(driver, now) {
            None => Heard::Full,
            Some(heard) if heard.known.is_none() => Heard::Unknown,
            Some(_) => Heard::Noted,
        }
    }

    /// A position, which is a sign of life too. One that is not newer than the last, or too old, is left out.
    pub(super) fn moved(
        &mut self,
        driver: UserId,
        location: Location,
        said: Option<Timestamp>,
        now: Timestamp,
    ) -> Heard {
        let Some(heard) = self.entry(driver, now) else { return Heard::Full };
        let unheard = if heard.known.is_none() { Heard::Unknown } else { Heard::Noted };
        let Some(at) = heard.time_of(said, now) else { return unheard };
        if heard.position.is_some_and(|last| last.at >= at) {
            return unheard;
        }
        heard.position = Some(Position { location, at });
        (heard.is_unpassed, heard.is_moved) = (true, true);
        heard.pass(driver, now).map_or(unheard, Heard::Pass)
    }

    /// Positions that had to wait for their turn. Drivers of whom nothing was heard for long are forgotten.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Pass> {
        self.drivers.retain(|_, heard| heard.is_unstored || now.since(heard.alive_at) < FORGET_AFTER);
        self.drivers.iter_mut().filter_map(|(driver, heard)| heard.pass(*driver, now)).collect()
    }

    /// Something about a driver has changed: the store is asked again.
    pub(super) fn changed(&mut self, driver: UserId) -> bool {
        let heard = self.drivers.get_mut(&driver);
        heard.map(|heard| heard.read_at = None).is_some()
    }

    /// Drivers of whom the store is to be asked, at most `limit`, which are taken to be asked from now on. At most `old` of them are asked
    /// about though nothing was heard of a change.
    pub(super) fn due_reads(&mut self, limit: usize, mut old: usize, now: Timestamp) -> Vec<UserId> {
        let mut is_due = |heard: &DriverHeard| match heard.read_at {
            None => true,
            Some(read_at) => {
                let is_old = old > 0 && now.since(read_at) >= KNOWN_FOR;
                old -= usize::from(is_old);
                is_old
            }
        };
        let due = self.drivers.iter_mut().filter(|(_, heard)| is_due(heard)).take(limit);
        due.map(|(driver, heard)| {
            heard.read_at = Some(now);
            *driver
        })
        .collect()
    }

    /// What the store says of a driver; `None` when there is no driver who may work.
    pub(super) fn learned(
        &mut self,
        driver: UserId,
        known: Option<Known>,
        stored: Option<Position>,
        now: Timestamp,
    ) -> Option<Pass> {
        let Some(known) = known else {
            self.drivers.remove(&driver);
            return None;
        };
        let heard = self.drivers.get_mut(&driver)?;
        let known = Arc::new(known);
        // Who gets to see a position only now does not wait for the next one.
        if heard.known.as_ref().is_none_or(|before| before.carried != known.carried) {
            heard.is_unpassed = heard.position.is_some();
        }
        heard.known = Some(known);
        if heard.position.is_none() {
            heard.position = stored;
        }
        heard.pass(driver, now)
    }

    /// What is to be stored, at most `limit`, taken as stored.
    pub(super) fn take_unstored(&mut self, limit: usize) -> Vec<DriverSeen> {
        let unstored =
            self.drivers.iter_mut().filter(|(_, heard)| heard.is_unstored && heard.known.is_some());
        unstored.take(limit).map(|(driver, heard)| heard.take(*driver)).collect()
    }

    /// Whether the first position of a driver waits to be stored: until then no pool finds them.
    pub(super) fn has_first_position(&self) -> bool {
        self.drivers.values().any(|heard| heard.is_moved && !heard.was_stored && heard.known.is_some())
    }

    /// What was heard of one driver, stored or not: a write of many passes over rows that are locked.
    pub(super) fn take_of(&mut self, driver: UserId) -> Option<DriverSeen> {
        Some(self.drivers.get_mut(&driver)?.take(driver))
    }

    /// It was not stored after all.
    pub(super) fn not_stored(&mut self, seen: &[DriverSeen]) {
        for seen in seen {
            if let Some(heard) = self.drivers.get_mut(&seen.driver) {
                heard.is_unstored = true;
                heard.is_moved |= seen.position.is_some();
            }
        }
    }
}

impl DriverHeard {
    fn take(&mut self, driver: UserId) -> DriverSeen {
        self.is_unstored = false;
        self.was_stored |= std::mem::take(&mut self.is_moved);
        // The last position each time, since a write of many passes over rows that are locked. An old one changes nothing.
        DriverSeen { driver, alive_at: self.alive_at, position: self.position }
    }
}

#[cfg(test)]
mod tests;
