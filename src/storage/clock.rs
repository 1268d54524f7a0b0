//! The store's time, by which everything that is written is decided and dated.
#![expect(clippy::disallowed_methods, reason = "the wall clock is read here")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::time::{ClockStep, Direction, Timestamp};

/// A wall clock that is further ahead than this, beyond the time that has passed, was set; its deadlines do not follow.
const FOLLOWED_AHEAD: Duration = Duration::from_secs(60);

/// A wall clock that is further back than this was set. Less is a clock that is corrected little by little: time stands still until
/// it is there again.
const FOLLOWED_BACK: Duration = Duration::from_secs(1);

/// The store's time, read once a transaction: the server's on Postgres, the wall clock held monotonic in this process on SQLite. One
/// for each store of a process, shared by its lanes and reads.
#[derive(Debug)]
pub struct StoreClock {
    source: Mutex<Source>,
    /// Microseconds that a test has moved it by.
    offset: AtomicI64,
}

/// Where the time comes from.
#[derive(Debug)]
enum Source {
    /// The server tells it with each transaction; this is when it last did.
    Server(Option<Reading>),
    Wall(HeldWall),
}

/// A time, and when it was read on the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Reading {
    time: Timestamp,
    read: Instant,
}

impl Reading {
    fn at(self, now: Instant) -> Timestamp {
        self.time.plus(now.saturating_duration_since(self.read))
    }
}

impl StoreClock {
    /// The clock of a store whose server tells the time.
    pub(super) fn of_server() -> Self {
        Self::new(Source::Server(None))
    }

    /// The clock of a store in this process.
    pub(super) fn of_process() -> Self {
        Self::new(Source::Wall(HeldWall::new(Instant::now(), Timestamp::now())))
    }

    fn new(source: Source) -> Self {
        Self { source: Mutex::new(source), offset: AtomicI64::new(0) }
    }

    /// The time now. Of a server it is what it last told and the time since: late by the way of its answer, never early. Before it
    /// has told any, it is the wall clock's.
    pub fn now(&self) -> Timestamp {
        let mut source = self.source();
        let now = Instant::now();
        let time = match &mut *source {
            Source::Server(Some(told)) => told.at(now),
            Source::Server(None) => Timestamp::now(),
            Source::Wall(wall) => {
                let (time, step) = wall.read(now, Timestamp::now());
                step.inspect(report);
                time
            }
        };
        drop(source);
        self.moved(time)
    }

    /// The time of a transaction that has just begun: the one the server told with it, else [`StoreClock::now`].
    pub(super) fn of_transaction(&self, told: Option<Timestamp>) -> Timestamp {
        let Some(time) = told else { return self.now() };
        if let Source::Server(last) = &mut *self.source() {
            *last = Some(Reading { time, read: Instant::now() });
        }
        self.moved(time)
    }

    /// Moves the store's time ahead, for tests. Deadlines that it passes are found by whoever looks for them next.
    pub fn advance(&self, by: Duration) {
        self.offset.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Moves the store's time back, for tests whose data is old.
    pub fn turn_back(&self, by: Duration) {
        self.offset.fetch_sub(micros(by), Ordering::SeqCst);
    }

    fn moved(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_micros(time.as_micros().saturating_add(self.offset.load(Ordering::SeqCst)))
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(by: Duration) -> i64 {
    i64::try_from(by.as_micros()).unwrap_or(i64::MAX)
}

fn report(step: &ClockStep) {
    let (seconds, direction) = (step.by.as_secs(), step.direction.as_str());
    tracing::warn!(seconds, direction, "the system clock was set; the store's time does not follow it");
}

/// The wall clock without its jumps: it never goes back, and follows no step ahead of more than a minute.
#[derive(Debug)]
struct HeldWall {
    last: Reading,
    /// Microseconds that the wall clock is ahead of the time given.
    ahead: i64,
}

impl HeldWall {
    fn new(now: Instant, wall: Timestamp) -> Self {
        Self { last: Reading { time: wall, read: now }, ahead: 0 }
    }

    /// The time for these readings, and the step of more than a minute that it does not follow.
    fn read(&mut self, now: Instant, wall: Timestamp) -> (Timestamp, Option<ClockStep>) {
        let expected = self.last.at(now);
        let shown = Timestamp::from_micros(wall.as_micros().saturating_sub(self.ahead));
        let (ahead, back) = (shown.since(expected), expected.since(shown));
        let mut step = None;
        let time = if ahead > FOLLOWED_AHEAD || back > FOLLOWED_BACK {
            self.ahead = wall.as_micros().saturating_sub(expected.as_micros());
            let direction = if ahead > back { Direction::Ahead } else { Direction::Back };
            step = Some(ClockStep { by: ahead.max(back), direction }).filter(|step| step.by > FOLLOWED_AHEAD);
            expected
        } else {
            shown.max(self.last.time)
        };
        self.last = Reading { time, read: now };
        (time, step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn start() -> (Instant, Timestamp) {
        (Instant::now(), Timestamp::from_unix_seconds(1_000_000))
    }

    #[test]
    fn a_wall_clock_that_runs_is_followed() {
        let (now, wall) = start();
        let mut held = HeldWall::new(now, wall);
        assert_eq!(held.read(now + S(10), wall.plus(S(10))), (wall.plus(S(10)), None));
        assert_eq!(held.read(now + S(5000), wall.plus(S(5050))), (wall.plus(S(5050)), None));
    }

    #[test]
    fn a_clock_set_ahead_by_hours_moves_no_deadline_and_is_reported_once() {
        let (now, wall) = start();
        let mut held = HeldWall::new(now, wall);
        let ahead = wall.plus(S(9 * 3600));
        let step = Some(ClockStep { by: S(9 * 3600), direction: Direction::Ahead });
        assert_eq!(held.read(now + S(10), ahead.plus(S(10))), (wall.plus(S(10)), step));
        assert_eq!(held.read(now + S(20), ahead.plus(S(20))), (wall.plus(S(20)), None));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_time() {
        let (now, wall) = start();
        let mut held = HeldWall::new(now, wall);
        assert_eq!(held.read(now + S(40), wall.plus(S(10))), (wall.plus(S(40)), None));
        assert_eq!(held.read(now + S(50), wall.plus(S(20))), (wall.plus(S(50)), None));
        let step = Some(ClockStep { by: S(3620), direction: Direction::Back });
        assert_eq!(held.read(now + S(60), wall.minus(S(3590))), (wall.plus(S(60)), step));
    }

    #[test]
    fn the_time_of_a_server_goes_on_from_what_it_last_told_and_a_test_moves_it() {
        let clock = StoreClock::of_server();
        let told = Timestamp::from_unix_seconds(5);
        assert_eq!(clock.of_transaction(Some(told)), told);
        let later = clock.now();
        assert!(later >= told && later < told.plus(S(60)), "{later:?}");
        clock.advance(S(3600));
        assert_eq!(clock.of_transaction(Some(told)), told.plus(S(3600)));
        assert!(clock.now() >= told.plus(S(3600)));
    }

    proptest! {
        #[test]
        fn whatever_the_wall_clock_does_time_goes_on_by_what_has_passed_and_a_minute_at_most(
            steps in proptest::collection::vec((0_u64..3600, -100_000_i64..100_000), 1..50),
        ) {
            let (mut now, wall) = start();
            let (mut held, mut last) = (HeldWall::new(now, wall), wall);
            for (passed, shown) in steps {
                now += S(passed);
                let (time, _) = held.read(now, Timestamp::from_unix_seconds(1_000_000 + shown));
                prop_assert!(time >= last, "it never goes back");
                prop_assert!(time.plus(FOLLOWED_BACK) >= last.plus(S(passed)));
                prop_assert!(time <= last.plus(S(passed)).plus(FOLLOWED_AHEAD));
                last = time;
            }
        }
    }
}
