//! The bodies of requests that make and change businesses.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{
    Accepts, AlertPolicy, Business, BusinessContact, BusinessState, Location, Pauses, Timezone,
};
use crate::domain::delivery::DeliveredBy;
use crate::domain::email::EmailAddress;
use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::domain::private::Private;
use crate::domain::time::Timestamp;
use crate::http::input::{Parsed, rules, schema_of};
use crate::http::response::problem::ApiError;
use crate::storage::commands::BusinessPatch;

use super::state::{StateWord, bounded, state_of};

/// Minutes of preparation where the merchant names none.
const DEFAULT_PREP_MINUTES: u16 = 20;

/// The zone of a business that names none.
const DEFAULT_ZONE: &str = "default";

/// A point on the map.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationBody {
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.7223)]
    pub(super) lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.1393)]
    pub(super) lng: f64,
}

impl From<LocationBody> for Location {
    fn from(body: LocationBody) -> Self {
        Self { lat: body.lat, lng: body.lng }
    }
}

/// The contact of a business for times at which its devices cannot be reached. Kept encrypted; members and operators see it.
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

impl From<ContactBody> for BusinessContact {
    fn from(body: ContactBody) -> Self {
        Self {
            email: body.email.map(|email| email.into_inner().into_string()),
            phone: body.phone.map(|phone| rules::checked_phone(&phone.0)),
        }
    }
}

/// A new business; its maker becomes its owner.
#[derive(Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Pastéis da Rua", "location": {"lat": 38.7223, "lng": -9.1393}, "zone": "lisbon-centre",
    "timezone": "Europe/Lisbon", "currency": "EUR", "prep_minutes": 20, "tables": 12
}))]
pub(super) struct NewBusiness {
    /// The name that customers see.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "Pastéis da Rua")]
    name: String,
    /// The place where drivers pick up.
    #[garde(dive)]
    location: LocationBody,
    /// The delivery zone; `default` unless given.
    #[garde(inner(custom(rules::line::<64>)))]
    #[schema(min_length = 1, max_length = 64, example = "lisbon-centre")]
    zone: Option<String>,
    /// IANA; `UTC` unless given. Decides when the business's day begins.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timezone>)]
    timezone: Option<Parsed<Timezone>>,
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
    /// The party that brings its deliveries: its own people (`business`, unless given) or `drivers`. It can be chosen for each order
    /// when it is accepted.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<DeliveredBy>)]
    delivered_by: Option<Parsed<DeliveredBy>>,
    /// Its contact for times at which its devices cannot be reached.
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
    /// The name that customers see.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Pastéis da Rua")]
    name: Option<String>,
    /// The place where drivers pick up.
    #[garde(dive)]
    location: Option<LocationBody>,
    /// The delivery zone.
    #[garde(inner(custom(rules::line::<64>)))]
    #[schema(min_length = 1, max_length = 64, example = "lisbon-centre")]
    zone: Option<String>,
    /// IANA.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timezone>)]
    timezone: Option<Parsed<Timezone>>,
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
    /// The party that brings its deliveries, for orders that are accepted from now on.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<DeliveredBy>)]
    delivered_by: Option<Parsed<DeliveredBy>>,
    /// Its contact; replaces the whole contact it had.
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

impl NewBusiness {
    /// The business these fields describe.
    ///
    /// # Errors
    /// 422 for a state without its detail or a detail without its state.
    pub(super) fn into_business(self, id: BusinessId, now: Timestamp) -> Result<Business, ApiError> {
        let paused_until = self.paused_until.map(Parsed::into_inner);
        let state = state_of(self.state.map(Parsed::into_inner), self.extra_minutes, paused_until, now)?;
        Ok(Business {
            id,
            name: self.name,
            location: self.location.into(),
            zone: self.zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned()),
            timezone: self.timezone.map_or_else(Timezone::utc, Parsed::into_inner),
            currency: self.currency.into_inner(),
            prep_minutes: self.prep_minutes.map_or(DEFAULT_PREP_MINUTES, bounded),
            tables: self.tables.map_or(0, bounded),
            delivered_by: self.delivered_by.map_or(DeliveredBy::Business, Parsed::into_inner),
            contact: self.contact.map(BusinessContact::from).unwrap_or_default(),
            state: state.unwrap_or(BusinessState::Open),
            pauses: Pauses::default(),
            accepts: Accepts::default(),
            alerts: AlertPolicy::default(),
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
            state: state_of(self.state.map(Parsed::into_inner), self.extra_minutes, paused_until, now)?,
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
