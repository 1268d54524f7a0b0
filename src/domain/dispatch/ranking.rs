//! Who is asked first for a delivery.

use std::cmp::Ordering;
use std::time::Duration;

use crate::domain::delivery::Candidate;
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::location::Location;
use crate::domain::time::Timestamp;

use super::driver::{Position, Vehicle};

/// Seconds by which each delivery that a driver carries puts them back.
const LOAD_S: f64 = 240.0;

/// The share of the waiting time that puts a driver forward, and the longest that counts.
const WAIT_SHARE: f64 = 0.2;
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);

/// Seconds between a driver who was always in time and one who never was.
const ON_TIME_S: f64 = 120.0;

/// Deliveries of which the history is taken as a good one before there is any.
const PRIOR: f64 = 5.0;

/// Two deliveries go together when their food is ready within this time of each other and their customers live this near.
const TOGETHER_WITHIN: Duration = Duration::from_secs(600);
const TOGETHER_M: f64 = 2_000.0;

/// A delivery for which somebody is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Where it is fetched.
    pub business: BusinessId,
    /// Where that is.
    pub pickup: Location,
    /// Where it goes.
    pub dropoff: Location,
    /// When it is to be ready.
    pub ready_at: Timestamp,
    /// Whether the driver takes cash for it.
    pub is_cash: bool,
    /// How far around the pickup is looked, metres.
    pub radius_m: u32,
    /// How many are wanted.
    pub most: usize,
    /// Drivers who are not asked: they declined, gave it back, or were asked in this wave.
    pub not: Vec<UserId>,
    /// Drivers who did not answer when they were asked for it: everybody else comes before them.
    pub after: Vec<UserId>,
}

/// A delivery that a driver carries already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OtherJob {
    /// Where it is fetched.
    pub business: BusinessId,
    /// When it is to be ready.
    pub ready_at: Timestamp,
    /// Where it goes.
    pub dropoff: Location,
    /// Whether it is fetched already.
    pub is_under_way: bool,
}

/// A driver as a pool believes them to be.
#[derive(Clone, Debug, PartialEq)]
pub struct DriverStand {
    /// The account of the driver.
    pub user: UserId,
    /// What they ride.
    pub vehicle: Vehicle,
    /// Most deliveries at once.
    pub capacity: u8,
    /// What they carry.
    pub jobs: Vec<OtherJob>,
    /// Whether they take cash.
    pub takes_cash: bool,
    /// The last position.
    pub position: Option<Position>,
    /// Since when they wait.
    pub waiting_since: Option<Timestamp>,
    /// Deliveries they have ended.
    pub delivered: i64,
    /// Those of them that were in time.
    pub on_time: i64,
    /// Whether an offer waits for their answer.
    pub is_asked: bool,
}

/// The drivers to ask, the best first, at most `job.most`.
///
/// Out of question are drivers in `job.not`, without a position, outside of the radius, without room, who are asked already, who take no cash where
/// cash is taken, and whose vehicle does not go that far. Of the others, those in `job.after` come last, and who carries food of the same business that is ready
/// within ten minutes of this and goes within two kilometres of it comes first. Then by seconds, least first:
///
/// `distance ÷ speed + 240 × carried − 0.2 × min(waited, 1,800) − 120 × (on_time + 5) ÷ (delivered + 5)`
///
/// and by id where that is equal, so that every node ranks alike.
pub fn rank<'a>(
    job: &Job,
    drivers: impl Iterator<Item = &'a DriverStand>,
    speed_mps: u32,
    now: Timestamp,
) -> Vec<Candidate> {
    let way = job.pickup.metres_to(job.dropoff);
    let mut found: Vec<Ranked> = drivers
        .filter(|driver| can_take(driver, job, way))
        .filter_map(|driver| {
            let position = driver.position?;
            let distance = position.location.metres_to(job.pickup);
            if distance > f64::from(job.radius_m) {
                return None;
            }
            let stacked = driver.jobs.iter().any(|other| goes_together(other, job));
            let score = score(driver, distance, speed_mps, now);
            let distance_m = distance.round() as i64;
            let candidate = Candidate { driver: driver.user, distance_m, stacked };
            Some(Ranked { is_last: job.after.contains(&driver.user), score, candidate })
        })
        .collect();
    if found.len() > job.most && job.most > 0 {
        found.select_nth_unstable_by(job.most - 1, Ranked::compare);
    }
    found.truncate(job.most);
    found.sort_unstable_by(Ranked::compare);
    found.into_iter().map(|ranked| ranked.candidate).collect()
}

/// A driver who can be asked, and what places them.
struct Ranked {
    is_last: bool,
    score: f64,
    candidate: Candidate,
}

impl Ranked {
    fn compare(&self, other: &Self) -> Ordering {
        let (own, others) = (&self.candidate, &other.candidate);
        self.is_last
            .cmp(&other.is_last)
            .then(others.stacked.cmp(&own.stacked))
            .then(self.score.total_cmp(&other.score))
            .then(own.driver.cmp(&others.driver))
    }
}

fn can_take(driver: &DriverStand, job: &Job, way: f64) -> bool {
    driver.jobs.len() < usize::from(driver.capacity)
        && !driver.is_asked
        && (driver.takes_cash || !job.is_cash)
        && way <= driver.vehicle.reach_m() as f64
        && !job.not.contains(&driver.user)
}

fn goes_together(other: &OtherJob, job: &Job) -> bool {
    let apart = job.ready_at.since(other.ready_at).max(other.ready_at.since(job.ready_at));
    other.business == job.business
        && !other.is_under_way
        && apart <= TOGETHER_WITHIN
        && other.dropoff.metres_to(job.dropoff) <= TOGETHER_M
}

fn score(driver: &DriverStand, distance: f64, speed_mps: u32, now: Timestamp) -> f64 {
    let waited = driver.waiting_since.map_or(Duration::ZERO, |since| now.since(since)).min(LONGEST_WAIT);
    let on_time = (driver.on_time as f64 + PRIOR) / (driver.delivered as f64 + PRIOR);
    distance / f64::from(speed_mps.max(1)) + LOAD_S * driver.jobs.len() as f64
        - WAIT_SHARE * waited.as_secs_f64()
        - ON_TIME_S * on_time
}
