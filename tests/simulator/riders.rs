//! Drivers as they are: where they ride, whether their telephones work, and what they do about offers. The hub knows of them what it heard.

use std::collections::BTreeMap;
use std::time::Duration;

use bellhop::domain::dispatch::{Driver, Position, Vehicle};
use bellhop::domain::ids::UserId;
use bellhop::domain::location::Location;
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::random::Random;
use crate::world::World;

/// After a start of the hub, telephones have found it again.
const FOUND_AGAIN: Duration = Duration::from_secs(15);

/// Numbers of drivers.
pub(crate) const RIDERS: u64 = 6;

/// What a driver is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    Fast,
    Slow,
    Declining,
    Deaf,
    Vanishing,
}

/// A way that a driver rides, straight on.
#[derive(Clone, Copy, Debug)]
struct Leg {
    from: Location,
    to: Location,
    since: Timestamp,
}

/// A driver: the row that the store keeps, and the truth.
pub(crate) struct Rider {
    pub(crate) driver: Driver,
    pub(crate) temper: Temper,
    /// Since when the telephone is off; `None`: it works.
    pub(crate) quiet_since: Option<Timestamp>,
    leg: Leg,
    /// Metres a second.
    speed: u64,
    /// Offers in a row without an answer, said by the oracle.
    pub(crate) ignored: u8,
}

impl Rider {
    pub(crate) fn new(n: u64, random: &mut Random, now: Timestamp) -> Self {
        let user = UserId::from_uuid(Uuid::from_u128(0x3000 + u128::from(n)));
        let mut driver = Driver::new(user, format!("Rider {n}"), true, now);
        driver.capacity = random.between(1, 3) as u8;
        driver.takes_cash = random.chance(85);
        driver.vehicle = *random.pick(&Vehicle::ALL).expect("there are four");
        let zones =
            *random.pick(&[&["north"][..], &["south"], &["north", "south"]]).expect("there are three");
        driver.zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let here = near(Location { lat: 0.0, lng: 0.0 }, 3_000, random);
        let temper = match random.below(100) {
            0..40 => Temper::Fast,
            40..60 => Temper::Slow,
            60..75 => Temper::Declining,
            75..85 => Temper::Deaf,
            _ => Temper::Vanishing,
        };
        let leg = Leg { from: here, to: here, since: now };
        let speed = random.between(4, 12);
        Self { driver, temper, quiet_since: None, leg, speed, ignored: 0 }
    }

    pub(crate) fn place(&self, now: Timestamp) -> Location {
        let Leg { from, to, since } = self.leg;
        let metres = from.metres_to(to);
        let ridden = now.since(since).as_secs_f64() * self.speed as f64;
        if metres <= ridden {
            return to;
        }
        let part = ridden / metres;
        let between = |from: f64, to: f64| from + (to - from) * part;
        Location { lat: between(from.lat, to.lat), lng: between(from.lng, to.lng) }
    }

    pub(crate) fn ride_to(&mut self, to: Location, now: Timestamp) -> Duration {
        self.leg = Leg { from: self.place(now), to, since: now };
        Duration::from_secs(self.leg.from.metres_to(to) as u64 / self.speed)
    }

    pub(crate) fn stop(&mut self, now: Timestamp) {
        let here = self.place(now);
        self.ride_to(here, now);
    }

    /// Whether the hub could believe that they do not come: nothing was heard of them, or they came no nearer.
    pub(crate) fn stays_away(
        &self,
        pickup: Location,
        silent: Duration,
        stalled: Duration,
        now: Timestamp,
    ) -> bool {
        let is_quiet = self.quiet_since.is_some_and(|since| now.since(since) >= silent);
        let before = now.minus(stalled);
        let came = self.place(before).metres_to(pickup) - self.place(now).metres_to(pickup);
        is_quiet || self.leg.since > before || came < 150.0
    }
}

/// A place within so many metres to the north, south, east or west.
pub(crate) fn near(centre: Location, metres: u64, random: &mut Random) -> Location {
    let mut off = || (random.below(2 * metres) as f64 - metres as f64) / 111_000.0;
    Location { lat: centre.lat + off(), lng: centre.lng + off() }
}

impl World {
    pub(crate) fn rider_of(&self, user: UserId) -> usize {
        self.riders.iter().position(|rider| rider.driver.user == user).expect("every driver is known")
    }

    /// What telephones have sent until now, as far as the hub could hear it.
    pub(crate) fn hear_riders(&mut self) {
        let now = self.now;
        if now < self.up_since.plus(FOUND_AGAIN) {
            return;
        }
        for rider in self.riders.iter_mut().filter(|rider| rider.quiet_since.is_none()) {
            let position = Position { location: rider.place(now), at: now };
            let before = rider.driver.position;
            if !rider.driver.moved_to(position, now) {
                assert!(before.is_some_and(|last| last.at >= now), "a new position is taken");
            }
            // Whoever says where they are lives, also where a clock was set back since.
            let alive_at = &mut rider.driver.alive_at;
            *alive_at = (*alive_at).max(Some(now));
        }
    }

    pub(crate) fn rows(&self) -> BTreeMap<UserId, Driver> {
        self.riders.iter().map(|rider| (rider.driver.user, rider.driver.clone())).collect()
    }

    pub(crate) fn write_rows(&mut self, rows: BTreeMap<UserId, Driver>) {
        for rider in &mut self.riders {
            rider.driver = rows[&rider.driver.user].clone();
        }
    }

    /// A telephone is off from now on, and the driver rides no further, or both are again as they were.
    pub(crate) fn telephone(&mut self, n: usize, works: bool) {
        let now = self.now;
        // What it sent last was heard.
        if self.up {
            self.hear_riders();
        }
        let rider = &mut self.riders[n];
        if works {
            rider.quiet_since = None;
        } else {
            rider.quiet_since.get_or_insert(now);
            rider.stop(now);
        }
        self.note(|| format!("the telephone of rider {n} {}", if works { "works" } else { "is off" }));
    }

    /// A position that is older than what is known, or too old: nothing follows from it.
    pub(crate) fn old_position(&mut self, n: usize, random: &mut Random) {
        self.commit();
        let now = self.now;
        let location = near(Location { lat: 0.0, lng: 0.0 }, 5_000, random);
        let Some(last) = self.riders[n].driver.position.map(|last| last.at) else { return };
        let at = match random.below(3) {
            0 => last,
            1 => last.minus(Duration::from_secs(random.between(1, 50))),
            _ => now.minus(Duration::from_secs(random.between(61, 7_200))),
        };
        let driver = &mut self.riders[n].driver;
        let before = driver.clone();
        let is_taken = driver.moved_to(Position { location, at }, now);
        assert!(
            !is_taken || (last < at && now.since(at) <= Duration::from_secs(60)),
            "an old position of rider {n} is taken"
        );
        if !is_taken {
            assert_eq!(*driver, before, "what is left changes nothing");
        }
    }
}
