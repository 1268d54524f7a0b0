//! The shapes of businesses: made, changed, shown.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{Business, BusinessContact, BusinessState, Location, Zone};
use crate::domain::delivery::DeliveredBy;
use crate::domain::email::EmailAddress;
use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::domain::private::Private;
use crate::domain::time::Timestamp;
use crate::http::input::{FromText, Parsed, one_of, rules, schema_of};
use crate::http::problem::ApiError;
use crate::protocol::problem::FieldError;
use crate::storage::commands::BusinessPatch;

/// Minutes an order takes where the merchant does not say.
const DEFAULT_PREP_MINUTES: u16 = 20;

/// The zone of a business that names none.
const DEFAULT_ZONE: &str = "default";

/// The longest pause; a business that rests longer is closed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Whether a business takes orders, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateWord {
    /// Takes orders.
    Open,
    /// Takes orders and needs longer; with `extra_minutes`.
    Busy,
    /// Takes none for now; with `paused_until`.
    Paused,
    /// Takes none.
    Closed,
}

impl StateWord {
    const ALL: [Self; 4] = [Self::Open, Self::Busy, Self::Paused, Self::Closed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Busy => "busy",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl FromText for StateWord {
    const EXAMPLE: &'static str = "open";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, Self::as_str, text)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(Self::ALL.iter().map(|word| word.as_str()).collect())
    }
}

/// A point on the map.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationBody {
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.7223)]
    lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.1393)]
    lng: f64,
}

impl From<LocationBody> for Location {
    fn from(body: LocationBody) -> Self {
        Self { lat: body.lat, lng: body.lng }
    }
}

/// Where a business is reached when its devices are not. Kept encrypted; members and operators see it.
#[derive(Debug, Default, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactBody {
    /// An address for mail.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "email", max_length = 254, example = "kitchen@example.com")]
    email: Option<Parsed<EmailAddress>>,
    /// A number to call, as people write it.
    #[garde(inner(custom(|phone: &Private<String>, &()| rules::phone(&phone.0, &()))))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    phone: Option<Private<String>>,
}

/// Where a business is reached when its devices are not.
#[derive(Debug, Serialize, ToSchema)]
struct ContactView {
    /// An address for mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "email", example = "kitchen@example.com")]
    email: Option<Private<String>>,
    /// A number to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "+351 21 000 00 00")]
    phone: Option<Private<String>>,
}

impl From<ContactBody> for BusinessContact {
    fn from(body: ContactBody) -> Self {
        Self {
            email: body.email.map(|email| email.into_inner().into_string()),
            phone: body.phone.map(|phone| rules::checked_phone(&phone.0)),
        }
    }
}

/// A new business; whoever makes it becomes its owner.
#[derive(Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Pastéis da Rua", "location": {"lat": 38.7223, "lng": -9.1393}, "zone": "lisbon-centre",
    "timezone": "Europe/Lisbon", "currency": "EUR", "prep_minutes": 20, "tables": 12
}))]
pub(super) struct NewBusiness {
    /// What customers call it.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "Pastéis da Rua")]
    name: String,
    /// Where drivers pick up.
    #[garde(dive)]
    location: LocationBody,
    /// The delivery zone; `default` unless given.
    #[garde(inner(custom(rules::line::<64>)))]
    #[schema(min_length = 1, max_length = 64, example = "lisbon-centre")]
    zone: Option<String>,
    /// IANA; `UTC` unless given. Decides when the business's day begins.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Zone>)]
    timezone: Option<Parsed<Zone>>,
    /// ISO 4217, of every price. It can be changed as long as there is no price and no order.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Currency>)]
    currency: Parsed<Currency>,
    /// Minutes an order takes; 20 unless given.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 20)]
    prep_minutes: Option<i64>,
    /// Tables are numbered from 1 to this; 0, none, unless given.
    #[garde(range(min = 0, max = 1000))]
    #[schema(minimum = 0, maximum = 1000, example = 12)]
    tables: Option<i64>,
    /// Who brings its deliveries: its own people (`business`, unless given) or `drivers`. It can be said otherwise for each order
    /// when it is accepted.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<DeliveredBy>)]
    delivered_by: Option<Parsed<DeliveredBy>>,
    /// Where it is reached when its devices are not.
    #[garde(dive)]
    contact: Option<ContactBody>,
    /// `open` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<StateWord>)]
    state: Option<Parsed<StateWord>>,
    /// With `busy`: minutes added to the preparation time.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 15)]
    extra_minutes: Option<i64>,
    /// With `paused`: when it takes orders again by itself, at most 30 days ahead.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    paused_until: Option<Parsed<Timestamp>>,
}

/// Changes to a business; what is left out stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state": "busy", "extra_minutes": 15}))]
pub(super) struct BusinessChanges {
    /// What customers call it.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Pastéis da Rua")]
    name: Option<String>,
    /// Where drivers pick up.
    #[garde(dive)]
    location: Option<LocationBody>,
    /// The delivery zone.
    #[garde(inner(custom(rules::line::<64>)))]
    #[schema(min_length = 1, max_length = 64, example = "lisbon-centre")]
    zone: Option<String>,
    /// IANA.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Zone>)]
    timezone: Option<Parsed<Zone>>,
    /// Minutes an order takes.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 20)]
    prep_minutes: Option<i64>,
    /// Tables are numbered from 1 to this.
    #[garde(range(min = 0, max = 1000))]
    #[schema(minimum = 0, maximum = 1000, example = 12)]
    tables: Option<i64>,
    /// ISO 4217. Only while there is no price and no order.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Currency>)]
    currency: Option<Parsed<Currency>>,
    /// Who brings its deliveries, from orders on that are accepted later.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<DeliveredBy>)]
    delivered_by: Option<Parsed<DeliveredBy>>,
    /// Where it is reached; takes the place of all that was there.
    #[garde(dive)]
    contact: Option<ContactBody>,
    /// Whether it takes orders.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<StateWord>)]
    state: Option<Parsed<StateWord>>,
    /// With `busy`: minutes added to the preparation time.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 15)]
    extra_minutes: Option<i64>,
    /// With `paused`: when it takes orders again by itself, at most 30 days ahead.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    paused_until: Option<Parsed<Timestamp>>,
}

/// A business as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BusinessView {
    /// `biz_…`
    #[schema(example = "biz_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// What customers call it.
    name: String,
    /// Where drivers pick up.
    location: LocationBody,
    /// The delivery zone.
    zone: String,
    /// IANA.
    #[schema(example = "Europe/Lisbon")]
    timezone: String,
    /// ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Minutes an order takes.
    prep_minutes: u16,
    /// How many tables.
    tables: u16,
    /// Who brings its deliveries: `business` or `drivers`.
    #[schema(example = "business")]
    delivered_by: &'static str,
    /// Where it is reached; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactView>,
    /// `open`, `busy`, `paused` or `closed`.
    #[schema(example = "open")]
    state: &'static str,
    /// While `busy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_minutes: Option<u16>,
    /// While `paused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_until: Option<String>,
    /// Counts changes.
    version: i64,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

/// Who looks at a business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looker {
    /// A member or an operator.
    Inside,
    /// Anybody else.
    Outside,
}

impl BusinessView {
    pub(super) fn new(business: &Business, looker: Looker, now: Timestamp) -> Self {
        let (state, extra_minutes, paused_until) = match business.state.at(now) {
            BusinessState::Open => (StateWord::Open, None, None),
            BusinessState::Busy { extra_minutes } => (StateWord::Busy, Some(extra_minutes), None),
            BusinessState::Paused { until } => (StateWord::Paused, None, Some(until.to_rfc3339())),
            BusinessState::Closed => (StateWord::Closed, None, None),
        };
        Self {
            id: business.id.to_string(),
            name: business.name.clone(),
            location: LocationBody { lat: business.location.lat, lng: business.location.lng },
            zone: business.zone.clone(),
            timezone: business.timezone.name().to_owned(),
            currency: business.currency.to_string(),
            prep_minutes: business.prep_minutes,
            tables: business.tables,
            delivered_by: business.delivered_by.as_str(),
            contact: (looker == Looker::Inside).then(|| ContactView {
                email: business.contact.email.clone().map(Private),
                phone: business.contact.phone.clone().map(Private),
            }),
            state: state.as_str(),
            extra_minutes,
            paused_until,
            version: business.version,
            created_at: business.created_at.to_rfc3339(),
            updated_at: business.updated_at.to_rfc3339(),
        }
    }
}

impl NewBusiness {
    /// The business these fields describe.
    ///
    /// # Errors
    /// 422 for a state without its detail or a detail without its state.
    pub(super) fn into_business(self, id: BusinessId, now: Timestamp) -> Result<Business, ApiError> {
        let paused_until = self.paused_until.map(Parsed::into_inner);
        let state = state(self.state.map(Parsed::into_inner), self.extra_minutes, paused_until, now)?;
        Ok(Business {
            id,
            name: self.name,
            location: self.location.into(),
            zone: self.zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned()),
            timezone: self.timezone.map_or_else(Zone::utc, Parsed::into_inner),
            currency: self.currency.into_inner(),
            prep_minutes: self.prep_minutes.map_or(DEFAULT_PREP_MINUTES, bounded),
            tables: self.tables.map_or(0, bounded),
            delivered_by: self.delivered_by.map_or(DeliveredBy::Business, Parsed::into_inner),
            contact: self.contact.map(BusinessContact::from).unwrap_or_default(),
            state: state.unwrap_or(BusinessState::Open),
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

impl BusinessChanges {
    /// Whether it is about taking orders and nothing else.
    pub(super) fn is_of_state_only(&self) -> bool {
        let Self {
            name,
            location,
            zone,
            timezone,
            prep_minutes,
            tables,
            currency,
            delivered_by,
            contact,
            ..
        } = self;
        let of_place = name.is_none() && location.is_none() && zone.is_none() && timezone.is_none();
        let of_trade = prep_minutes.is_none() && tables.is_none() && currency.is_none();
        of_place && of_trade && delivered_by.is_none() && contact.is_none()
    }

    /// The changes these fields describe.
    ///
    /// # Errors
    /// As [`NewBusiness::into_business`].
    pub(super) fn into_patch(self, now: Timestamp) -> Result<BusinessPatch, ApiError> {
        let paused_until = self.paused_until.map(Parsed::into_inner);
        Ok(BusinessPatch {
            state: state(self.state.map(Parsed::into_inner), self.extra_minutes, paused_until, now)?,
            name: self.name,
            location: self.location.map(Location::from),
            zone: self.zone,
            timezone: self.timezone.map(Parsed::into_inner),
            prep_minutes: self.prep_minutes.map(bounded),
            tables: self.tables.map(bounded),
            currency: self.currency.map(Parsed::into_inner),
            delivered_by: self.delivered_by.map(Parsed::into_inner),
            contact: self.contact.map(BusinessContact::from),
        })
    }
}

/// The three fields of a state as one; a detail without its state, or a state without its detail, is refused.
fn state(
    word: Option<StateWord>,
    extra_minutes: Option<i64>,
    paused_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<BusinessState>, ApiError> {
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, message: &str| {
        wrong.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    };
    if extra_minutes.is_some() && word != Some(StateWord::Busy) {
        refuse("extra_minutes", "goes with the state busy only");
    }
    if paused_until.is_some() && word != Some(StateWord::Paused) {
        refuse("paused_until", "goes with the state paused only");
    }
    let state = match (word, extra_minutes, paused_until) {
        (Some(StateWord::Busy), None, _) => {
            refuse("extra_minutes", "is required with the state busy");
            None
        }
        (Some(StateWord::Paused), _, None) => {
            refuse("paused_until", "is required with the state paused");
            None
        }
        (Some(StateWord::Paused), _, Some(until)) if until <= now || until > now.plus(LONGEST_PAUSE) => {
            refuse("paused_until", "must lie ahead, by at most 30 days");
            None
        }
        (Some(StateWord::Paused), _, Some(until)) => Some(BusinessState::Paused { until }),
        (Some(StateWord::Busy), Some(minutes), _) => {
            Some(BusinessState::Busy { extra_minutes: bounded(minutes) })
        }
        (Some(StateWord::Open), ..) => Some(BusinessState::Open),
        (Some(StateWord::Closed), ..) => Some(BusinessState::Closed),
        (None, ..) => None,
    };
    if wrong.is_empty() { Ok(state) } else { Err(ApiError::invalid(wrong)) }
}

/// A number whose range was checked with its field.
fn bounded(number: i64) -> u16 {
    u16::try_from(number).expect("the range of the field lies within 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(result: Result<Option<BusinessState>, ApiError>) -> Vec<String> {
        result.unwrap_err().problem().errors.iter().map(|e| e.field.clone()).collect()
    }

    #[test]
    fn a_state_and_its_detail_come_together() {
        let now = Timestamp::from_unix_seconds(1_000);
        let soon = now.plus(Duration::from_secs(60));
        let parse = |word, minutes, until| state(word, minutes, until, now);
        assert_eq!(parse(None, None, None).unwrap(), None);
        assert_eq!(
            parse(Some(StateWord::Busy), Some(10), None).unwrap(),
            Some(BusinessState::Busy { extra_minutes: 10 })
        );
        assert_eq!(
            parse(Some(StateWord::Paused), None, Some(soon)).unwrap(),
            Some(BusinessState::Paused { until: soon })
        );
        assert_eq!(fields(parse(Some(StateWord::Busy), None, None)), ["extra_minutes"]);
        assert_eq!(fields(parse(Some(StateWord::Paused), None, None)), ["paused_until"]);
        assert_eq!(
            fields(parse(Some(StateWord::Open), Some(5), Some(soon))),
            ["extra_minutes", "paused_until"]
        );
        assert_eq!(fields(parse(None, Some(5), None)), ["extra_minutes"]);
    }

    #[test]
    fn a_pause_lies_ahead_by_at_most_thirty_days() {
        let now = Timestamp::from_unix_seconds(1_000);
        let parse = |until| state(Some(StateWord::Paused), None, Some(until), now);
        assert!(parse(now.plus(LONGEST_PAUSE)).is_ok());
        assert_eq!(fields(parse(now)), ["paused_until"]);
        assert_eq!(fields(parse(now.plus(LONGEST_PAUSE + Duration::from_secs(1)))), ["paused_until"]);
    }
}
