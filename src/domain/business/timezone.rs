//! Time zones, and the calendar day of a business.

use std::fmt;

use jiff::tz::TimeZone;

use crate::domain::time::Timestamp;

/// An IANA time zone that the built-in database knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Timezone {
    name: String,
    rules: TimeZone,
}

/// A name the built-in time zone database does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IANA time zone like Europe/Lisbon")]
pub struct TimezoneError;

impl Timezone {
    /// The time zone with this name; upper and lower case matter.
    ///
    /// # Errors
    /// [`TimezoneError`] for a name that is not in the database.
    pub fn parse(name: &str) -> Result<Self, TimezoneError> {
        let rules = TimeZone::get(name).map_err(|_| TimezoneError)?;
        match rules.iana_name() {
            Some(known) if known == name => Ok(Self { name: name.to_owned(), rules }),
            _ => Err(TimezoneError),
        }
    }

    /// Coordinated universal time, the default of a business.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The calendar day at `now` in this zone, as `YYYY-MM-DD`.
    pub fn day(&self, now: Timestamp) -> String {
        jiff::Timestamp::from_microsecond(now.as_micros())
            .map(|t| t.to_zoned(self.rules.clone()).date().to_string())
            .unwrap_or_else(|_| "1970-01-01".to_owned())
    }

    /// The moment at which the calendar day of `now` began in this zone.
    pub fn day_began(&self, now: Timestamp) -> Timestamp {
        jiff::Timestamp::from_microsecond(now.as_micros())
            .and_then(|t| t.to_zoned(self.rules.clone()).start_of_day())
            .map_or(Timestamp::default(), |began| Timestamp::from_micros(began.timestamp().as_microsecond()))
    }
}

impl fmt::Debug for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_the_one_where_the_business_is() {
        let t = Timestamp::parse_rfc3339("2026-03-01T22:30:00Z").expect("a valid time");
        assert_eq!(Timezone::utc().day(t), "2026-03-01");
        assert_eq!(Timezone::parse("Asia/Tokyo").expect("Tokyo is known").day(t), "2026-03-02");
        assert_eq!(Timezone::parse("UTC").map(|z| z.day(t)), Ok("2026-03-01".to_owned()));
        let began = |zone: &str| Timezone::parse(zone).map(|zone| zone.day_began(t).to_rfc3339());
        assert_eq!(began("UTC"), Ok("2026-03-01T00:00:00.000000Z".to_owned()));
        assert_eq!(began("Asia/Tokyo"), Ok("2026-03-01T15:00:00.000000Z".to_owned()));
        assert!(Timezone::parse("Mars/Olympus").is_err());
        assert!(Timezone::parse("asia/tokyo").is_err());
    }
}
