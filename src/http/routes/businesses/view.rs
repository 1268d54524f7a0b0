//! A business as clients see it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::business::{Business, BusinessEvent, PauseView};
use crate::domain::private::Private;
use crate::domain::time::Timestamp;

use super::place::LocationBody;
use super::terms::AlertsBody;
use crate::protocol::problem::OfferedOrders;

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
pub(in crate::http) struct BusinessView {
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
    /// While `paused`, if that ends by itself; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_until: Option<String>,
    /// The pauses that hold, each with its cause; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pauses: Option<Vec<PauseView>>,
    /// The orders it takes.
    accepts: OfferedOrders,
    /// Its own times of alerts; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<AlertsBody>,
    /// Whether its orders are accepted by themselves as soon as a device has them; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_accept: Option<bool>,
    /// The way it gets its orders: `devices`, `webhook`, `any` or `off`; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "devices")]
    reach: Option<&'static str>,
    /// Until when calls and mail are silent, RFC 3339; for members and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<String>,
    /// Counts changes.
    version: i64,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

/// The viewer of a business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum BusinessViewer {
    /// A member or an operator.
    Member,
    /// Anybody else.
    Public,
}

impl BusinessView {
    pub(in crate::http) fn new(business: &Business, viewer: BusinessViewer, now: Timestamp) -> Self {
        let BusinessEvent { pauses, muted_until, .. } = BusinessEvent::of(business, now);
        let (is_member, alerts) = (viewer == BusinessViewer::Member, &business.alerts);
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
            contact: is_member.then(|| ContactView {
                email: business.contact.email.clone().map(Private),
                phone: business.contact.phone.clone().map(Private),
            }),
            state: business.trading(now).as_str(),
            extra_minutes: business.extra_minutes(now),
            paused_until: business.paused_until(now).map(Timestamp::to_rfc3339),
            pauses: is_member.then_some(pauses),
            accepts: OfferedOrders::of(&business.accepts),
            alerts: is_member.then(|| AlertsBody::of(alerts)),
            auto_accept: is_member.then_some(alerts.auto_accept),
            reach: is_member.then(|| alerts.reach.as_str()),
            muted_until: muted_until.filter(|_| is_member).map(Timestamp::to_rfc3339),
            version: business.version,
            created_at: business.created_at.to_rfc3339(),
            updated_at: business.updated_at.to_rfc3339(),
        }
    }
}
