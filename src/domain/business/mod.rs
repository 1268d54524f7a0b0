//! Businesses and their menus.

mod accepts;
mod alert_policy;
mod brake;
mod paid;
mod pause;
#[cfg(test)]
pub(crate) mod sample;
mod told;
mod trading;
mod unanswered;
mod unreachable;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

use super::delivery::DeliveredBy;
use super::ids::BusinessId;
use super::money::Currency;
use super::time::Timestamp;

pub use super::location::Location;
pub use accepts::{Accepts, DELIVERY_RADIUS_M};
pub use alert_policy::{AlertPolicy, Reach};
pub use brake::{BrakeVerdict, Unreachables};
pub use paid::PaidVerdict;
pub use pause::{Pause, PauseCause, PauseEnd, Pauses};
pub use told::{BusinessEvent, PauseView};
pub use trading::{Hand, TradingChange, TradingWord};

/// Most items of a menu: more than a person reads. A menu is always answered whole.
pub const MAX_MENU_ITEMS: u32 = 1000;

/// Most members of a business: more than a shop employs. The list is always answered whole.
pub const MAX_MEMBERS: u32 = 200;

/// Most invitations kept for one business; a new one replaces the oldest, so that a business cannot fill the store.
pub const MAX_INVITATIONS: u32 = 200;

/// Most invitations kept for one user; a new one replaces the oldest.
pub const MAX_INVITATIONS_OF_USER: u32 = 100;

/// The time in which an invitation can be answered: 7 days.
pub const INVITATION_LIFE: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

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

    /// The next six in the morning in this zone, after `now`: by then nobody works a shift of the day before any more. A day
    /// without that hour has the one after the gap.
    pub fn next_morning(&self, now: Timestamp) -> Timestamp {
        const HOUR: i8 = 6;
        jiff::Timestamp::from_microsecond(now.as_micros())
            .and_then(|t| {
                let local = t.to_zoned(self.rules.clone());
                let six = |date: jiff::civil::Date| date.at(HOUR, 0, 0, 0).to_zoned(self.rules.clone());
                let today = six(local.date())?;
                if today.timestamp() > t { Ok(today) } else { six(local.date().tomorrow()?) }
            })
            .map_or(now, |six| Timestamp::from_micros(six.timestamp().as_microsecond()))
    }
}

impl fmt::Debug for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The state that decides whether a business takes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusinessState {
    /// Orders are taken.
    Open,
    /// Orders are taken, and each needs more time than usual.
    Busy {
        /// Minutes added to the preparation time.
        extra_minutes: u16,
    },
    /// No orders are taken until a time, at which the business opens by itself.
    Paused {
        /// The time at which it opens.
        until: Timestamp,
    },
    /// No orders are taken until a member opens the business.
    Closed,
}

impl BusinessState {
    /// The state at `now`: a pause that has run out counts as open.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Paused { until } if until <= now => Self::Open,
            other => other,
        }
    }
}

/// The addresses of a business for when none of its devices answers. Not printed by `{:?}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BusinessContact {
    /// An e-mail address.
    pub email: Option<String>,
    /// A telephone number.
    pub phone: Option<String>,
}

impl fmt::Debug for BusinessContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusinessContact(..)")
    }
}

/// A place that takes orders: a restaurant, a shop.
#[derive(Clone, Debug, PartialEq)]
pub struct Business {
    /// The id, which never changes.
    pub id: BusinessId,
    /// The name that customers read.
    pub name: String,
    /// The place where drivers pick up.
    pub location: Location,
    /// The delivery zone it belongs to.
    pub zone: String,
    /// The time zone that decides when its day begins.
    pub timezone: Timezone,
    /// The currency of every price.
    pub currency: Currency,
    /// Minutes an order takes unless the member who accepts it says otherwise.
    pub prep_minutes: u16,
    /// Tables are numbered from 1 to this; 0 means none.
    pub tables: u16,
    /// The party that makes its deliveries, unless an order says otherwise.
    pub delivered_by: DeliveredBy,
    /// Shown to its members and to operators only.
    pub contact: BusinessContact,
    /// The state as stored; [`BusinessState::at`] says what it is now.
    pub state: BusinessState,
    /// Pauses beside the state; orders are taken when none holds.
    pub pauses: Pauses,
    /// The kinds of orders it takes.
    pub accepts: Accepts,
    /// How its orders ring.
    pub alerts: AlertPolicy,
    /// Grows by one with each change.
    pub version: i64,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// The reason why a business takes no order now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotTakingOrders {
    /// Paused until this time.
    Paused(#[serde(with = "crate::domain::time::micros")] Timestamp),
    /// Paused without a time at which that ends.
    PausedForNow,
    /// Closed until a member opens it.
    Closed,
}

impl Business {
    /// Checks that an order placed at `now` is taken.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn takes_orders(&self, now: Timestamp) -> Result<(), NotTakingOrders> {
        match self.state.at(now) {
            BusinessState::Closed => return Err(NotTakingOrders::Closed),
            BusinessState::Paused { until } => return Err(NotTakingOrders::Paused(until)),
            BusinessState::Open | BusinessState::Busy { .. } => {}
        }
        if self.pauses.holding(now).next().is_none() {
            return Ok(());
        }
        Err(self.pauses.until(now).map_or(NotTakingOrders::PausedForNow, NotTakingOrders::Paused))
    }

    /// Whether customers may have something delivered there: it lies within the radius of its deliveries.
    pub fn delivers_to(&self, place: Location) -> bool {
        self.location.metres_to(place) <= f64::from(self.accepts.delivery_radius_m)
    }

    /// The defaults of an order accepted at `now`: the usual preparation time with the extra minutes of a busy business.
    pub fn acceptance(&self, now: Timestamp) -> Acceptance {
        let extra = match self.state.at(now) {
            BusinessState::Busy { extra_minutes } => extra_minutes,
            _ => 0,
        };
        Acceptance { prep_minutes: self.prep_minutes.saturating_add(extra), delivered_by: self.delivered_by }
    }
}

/// The defaults that a business gives to an order it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Minutes until the order is ready.
    pub prep_minutes: u16,
    /// The party that makes the delivery, if there is one.
    pub delivered_by: DeliveredBy,
}

/// An item of a menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuItem {
    /// The merchant's own code, unique in its business.
    pub sku: String,
    /// The name that customers read.
    pub name: String,
    /// The section of the menu it belongs to.
    pub category: Option<String>,
    /// The price of one, in minor units of the business's currency.
    pub price_minor: i64,
    /// Whether it can be ordered now.
    pub available: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_and_a_closed_business_stays_closed() {
        let until = Timestamp::from_unix_seconds(100);
        let paused = BusinessState::Paused { until };
        assert_eq!(paused.at(Timestamp::from_unix_seconds(99)), paused);
        assert_eq!(paused.at(until), BusinessState::Open);
        assert_eq!(BusinessState::Closed.at(until), BusinessState::Closed);
    }

    #[test]
    fn the_day_is_the_one_where_the_business_is() {
        let t = Timestamp::parse_rfc3339("2026-03-01T22:30:00Z").expect("a valid time");
        assert_eq!(Timezone::utc().day(t), "2026-03-01");
        assert_eq!(Timezone::parse("Asia/Tokyo").expect("Tokyo is known").day(t), "2026-03-02");
        assert_eq!(Timezone::parse("UTC").map(|z| z.day(t)), Ok("2026-03-01".to_owned()));
        let began = |zone: &str| Timezone::parse(zone).map(|zone| zone.day_began(t).to_rfc3339());
        assert_eq!(began("UTC"), Ok("2026-03-01T00:00:00.000000Z".to_owned()));
        assert_eq!(began("Asia/Tokyo"), Ok("2026-03-01T15:00:00.000000Z".to_owned()));
        let morning = |zone: &str| Timezone::parse(zone).map(|zone| zone.next_morning(t).to_rfc3339());
        assert_eq!(morning("UTC"), Ok("2026-03-02T06:00:00.000000Z".to_owned()));
        assert_eq!(morning("Asia/Tokyo"), Ok("2026-03-02T21:00:00.000000Z".to_owned()));
        assert_eq!(morning("America/Los_Angeles"), Ok("2026-03-02T14:00:00.000000Z".to_owned()));
        let six = Timestamp::parse_rfc3339("2026-03-02T06:00:00Z").expect("a valid time");
        assert_eq!(Timezone::utc().next_morning(six).since(six).as_secs(), 24 * 3600, "never now");
        assert!(Timezone::parse("Mars/Olympus").is_err());
        assert!(Timezone::parse("asia/tokyo").is_err());
    }
}
