//! The bodies of requests that make and change businesses.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{
    Accepts, AlertPolicy, Business, BusinessContact, BusinessState, Hand, Location, Pauses, Reach, Timezone,
    TradingWord,
};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::http::input::{Parsed, rules, schema_of};
use crate::http::response::problem::ApiError;
use crate::storage::commands::{AlertTimes, BusinessPatch};

use super::place::{ContactBody, LocationBody};
use super::state::{bounded, trading_of};
use super::terms::{AcceptsBody, AlertsBody};

/// Minutes of preparation where the merchant names none.
const DEFAULT_PREP_MINUTES: u16 = 20;

/// The zone of a business that names none.
const DEFAULT_ZONE: &str = "default";

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
    /// Its own times of alerts, for orders placed from now on.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<AlertsBody>,
    /// Whether its orders are accepted by themselves, with the usual preparation, as soon as a device has them.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_accept: Option<bool>,
    /// The way it gets its orders: `devices` (unless given), `webhook`, `any` of both, or `off`, so that it is never paused as
    /// unreachable.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema_of::<Reach>)]
    reach: Option<Parsed<Reach>>,
    /// The orders it takes; all, and deliveries within 8,000 m, unless given.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    accepts: Option<AcceptsBody>,
    /// `open` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<TradingWord>)]
    state: Option<Parsed<TradingWord>>,
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
    /// Its own times of alerts, for orders placed from now on.
    #[garde(dive)]
    alerts: Option<AlertsBody>,
    /// Whether its orders are accepted by themselves, with the usual preparation, as soon as a device has them.
    #[garde(skip)]
    auto_accept: Option<bool>,
    /// The way it gets its orders: `devices` (unless given), `webhook`, `any` of both, or `off`, so that it is never paused as
    /// unreachable.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Reach>)]
    reach: Option<Parsed<Reach>>,
    /// The orders it takes; replaces all of it.
    #[garde(dive)]
    accepts: Option<AcceptsBody>,
    /// Whether it takes orders.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<TradingWord>)]
    state: Option<Parsed<TradingWord>>,
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
        let word = self.state.map(Parsed::into_inner);
        let trading = trading_of(word, self.extra_minutes, paused_until, Hand::Member, now)?;
        let times = self.alerts.map(AlertTimes::from).unwrap_or_default();
        let mut business = Business {
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
            state: BusinessState::Open,
            pauses: Pauses::default(),
            accepts: self.accepts.map(Accepts::from).unwrap_or_default(),
            alerts: AlertPolicy {
                accept_s: times.accept_s,
                ring_every_s: times.ring_every_s,
                auto_accept: self.auto_accept.unwrap_or(false),
                reach: self.reach.map(Parsed::into_inner).unwrap_or_default(),
                ..AlertPolicy::default()
            },
            version: 1,
            created_at: now,
            updated_at: now,
        };
        if let Some(change) = trading {
            business.trade(change, Hand::Member, now);
        }
        Ok(business)
    }
}

impl BusinessChanges {
    /// Whether it names nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        let Self { state, extra_minutes, paused_until, .. } = self;
        self.is_of_state_only() && state.is_none() && extra_minutes.is_none() && paused_until.is_none()
    }

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
            alerts,
            auto_accept,
            reach,
            accepts,
            ..
        } = self;
        let of_place = name.is_none() && location.is_none() && zone.is_none() && timezone.is_none();
        let of_trade = prep_minutes.is_none() && tables.is_none() && currency.is_none();
        let of_alerts = alerts.is_none() && auto_accept.is_none() && reach.is_none() && accepts.is_none();
        of_place && of_trade && of_alerts && delivered_by.is_none() && contact.is_none()
    }

    /// The changes these fields describe.
    ///
    /// # Errors
    /// As [`NewBusiness::into_business`].
    pub(super) fn into_patch(self, hand: Hand, now: Timestamp) -> Result<BusinessPatch, ApiError> {
        let paused_until = self.paused_until.map(Parsed::into_inner);
        let word = self.state.map(Parsed::into_inner);
        Ok(BusinessPatch {
            trading: trading_of(word, self.extra_minutes, paused_until, hand, now)?,
            alert_times: self.alerts.map(AlertTimes::from),
            auto_accept: self.auto_accept,
            reach: self.reach.map(Parsed::into_inner),
            accepts: self.accepts.map(Accepts::from),
            name: self.name,
            location: self.location.map(Location::from),
            zone: self.zone,
            timezone: self.timezone.map(Parsed::into_inner),
            prep_minutes: self.prep_minutes.map(bounded),
            tables: self.tables.map(bounded),
            currency: self.currency.map(Parsed::into_inner),
            delivered_by: self.delivered_by.map(Parsed::into_inner),
            contact: self.contact.map(BusinessContact::from),
            ..BusinessPatch::default()
        })
    }
}
