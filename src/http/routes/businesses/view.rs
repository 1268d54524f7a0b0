//! A business as clients see it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::business::{Business, BusinessState};
use crate::domain::private::Private;
use crate::domain::time::Timestamp;

use super::dto::LocationBody;
use super::state::StateWord;

/// The contact of a business for times at which its devices cannot be reached.
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

/// A business as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BusinessView {
    /// `biz_…`
    #[schema(example = "biz_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// The name that customers see.
    name: String,
    /// The place where drivers pick up.
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
    /// The number of tables.
    tables: u16,
    /// The party that brings its deliveries: `business` or `drivers`.
    #[schema(example = "business")]
    delivered_by: &'static str,
    /// Its contact; for members and operators.
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

/// The viewer of a business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BusinessViewer {
    /// A member or an operator.
    Member,
    /// Anybody else.
    Public,
}

impl BusinessView {
    pub(super) fn new(business: &Business, viewer: BusinessViewer, now: Timestamp) -> Self {
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
            contact: (viewer == BusinessViewer::Member).then(|| ContactView {
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
