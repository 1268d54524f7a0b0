//! Time: the timestamp that the whole hub uses, and a watch for changes of the system clock.
#![expect(clippy::disallowed_methods, reason = "the wall clock is read here")]

use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, in whole microseconds since 1970: both databases store and compare it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment from microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A moment from whole seconds since 1970, saturating at the ends of the range.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The time of the system clock. Only actors and handlers call this; states and rules are given the time.
    pub fn now() -> Self {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        Self(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX))
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `d` after this one, saturating.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The moment `d` before this one, saturating.
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with six digits of the second. The length is always the same, so texts sort like times and clients need to parse
    /// one format only.
    pub fn to_rfc3339(self) -> String {
        let read = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok();
        // The format has room for four digits of the year.
        let t = read.filter(|t| (0..=9999).contains(&t.year())).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (hour, minute, second, micros) = t.to_hms_micro();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }

    /// Reads RFC 3339 with any offset; `None` for any other text.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let t = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(t.unix_timestamp_nanos() / 1_000).ok().map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 time"))
    }
}

/// A larger difference between the clocks than this means that the wall clock was set.
const STEP: Duration = Duration::from_secs(60);

/// Detects when the wall clock is set, by comparing it with the monotonic clock. A clock that is constantly wrong is not detected.
#[derive(Debug)]
pub struct ClockWatch {
    now: Instant,
    wall: Timestamp,
}

/// The direction in which a clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The clock shows more time than has passed.
    Ahead,
    /// The clock shows less time than has passed.
    Back,
}

impl Direction {
    /// The word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Back => "back",
        }
    }
}

/// A wall clock that was set by more than a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// The difference to the time that has passed, more than a minute.
    pub by: Duration,
    /// Ahead or back.
    pub direction: Direction,
}

impl ClockWatch {
    /// A watch that compares from these two readings on.
    pub fn new(now: Instant, wall: Timestamp) -> Self {
        Self { now, wall }
    }

    /// The step of the wall clock since the last check, if it was set.
    pub fn check(&mut self, now: Instant, wall: Timestamp) -> Option<ClockStep> {
        let expected = self.wall.plus(now.saturating_duration_since(self.now));
        *self = Self { now, wall };
        let (ahead, back) = (wall.since(expected), expected.since(wall));
        let direction = if ahead > back { Direction::Ahead } else { Direction::Back };
        let by = ahead.max(back);
        (by > STEP).then_some(ClockStep { by, direction })
    }
}

/// A moment as microseconds since 1970, for records that hold it so.
pub mod micros {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes the number.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_micros())
    }

    /// Reads the number.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_seen_once_and_one_that_runs_is_not() {
        let (start, wall) = (Instant::now(), Timestamp::from_unix_seconds(1_000_000));
        let s = Duration::from_secs;
        let mut watch = ClockWatch::new(start, wall);
        assert_eq!(watch.check(start + s(10), wall.plus(s(10))), None);
        assert_eq!(watch.check(start + s(5000), wall.plus(s(5050))), None, "it runs a little fast");
        let nine_hours = s(9 * 3600);
        let ahead = wall.plus(nine_hours);
        let step = |direction| Some(ClockStep { by: nine_hours, direction });
        assert_eq!(watch.check(start + s(5010), ahead.plus(s(5060))), step(Direction::Ahead));
        assert_eq!(watch.check(start + s(5020), ahead.plus(s(5070))), None);
        assert_eq!(watch.check(start + s(5030), wall.plus(s(5080))), step(Direction::Back));
    }

    #[test]
    fn a_time_survives_its_text_to_the_microsecond() {
        for micros in [0, 1, 1_700_000_000_123_456, 1_700_000_000_000_000] {
            let t = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::parse_rfc3339(&t.to_rfc3339()), Some(t));
        }
    }

    #[test]
    fn a_time_has_six_digits_of_the_second_whatever_they_are() {
        let text = |micros| Timestamp::from_micros(micros).to_rfc3339();
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(1_700_000_000_120_000), "2023-11-14T22:13:20.120000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(i64::MAX), "1970-01-01T00:00:00.000000Z", "beyond the years of the format");
    }

    #[test]
    fn offsets_are_turned_into_utc_and_nonsense_is_refused() {
        let utc = Timestamp::parse_rfc3339("2026-01-01T10:00:00Z");
        assert!(utc.is_some());
        assert_eq!(Timestamp::parse_rfc3339("2026-01-01T12:00:00+02:00"), utc);
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
