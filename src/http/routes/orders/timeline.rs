//! The timeline of an order.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::OrderId;
use crate::domain::order::{OrderField, Party};
use crate::domain::saga::{Channel, Rung};
use crate::domain::time::Timestamp;
use crate::storage::{TimelineEntry, TimelineEvent};

use super::access::order_for;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// A step farther from its place than this is flagged, metres.
const FAR_M: i64 = 500;

/// An entry of an order's timeline.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct TimelineItem {
    /// RFC 3339.
    at: String,
    /// `moved`, `changed`, `payment`, `refund`, `delivery` and `deadline`; for the business and operators also `acknowledged`, `shown`,
    /// `acted`, `rang`, `reached`, `message`, `offered` and `step`.
    #[schema(example = "moved")]
    kind: &'static str,
    /// The status it moved from; left out when it was placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "placed")]
    from: Option<&'static str>,
    /// The status it moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "accepted")]
    to: Option<&'static str>,
    /// The party that placed or moved it: `customer`, `member`, `driver`, `admin` or `system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "member")]
    party: Option<&'static str>,
    /// `usr_…`: who it was, or who was signed in on the device. Not for customers and drivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The reason, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The device. Not for customers and drivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// With `changed`: the names of the fields, like `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["ready_at"]))]
    changed: Option<Vec<&'static str>>,
    /// With `rang`: the number of rings, of which `at` is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4)]
    rings: Option<u64>,
    /// With `rang`: the time of the last ring; with `offered`: when it was answered or closed; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<String>,
    /// With `reached`: `webhook`, `mail` or `telephone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mail")]
    channel: Option<&'static str>,
    /// With `reached`: the step of the alert ladder, `undelivered`, `mail`, `escalate` or `call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "escalate")]
    rung: Option<&'static str>,
    /// With `reached`: `due`, `sent`, `not_configured`, `failed` or `cancelled`. With `payment`, `refund` and `message` (one of the
    /// payment provider): how far it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sent")]
    result: Option<String>,
    /// With `payment`: `pay_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
    /// With `refund`: `ref_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_id: Option<String>,
    /// With `payment` and `refund`: `online`, `terminal`, `transfer` or `cash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "online")]
    method: Option<&'static str>,
    /// With `payment` and `refund`: how much, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 300)]
    amount_minor: Option<i64>,
    /// With `refund`: `automatic`, `demanded` or `outside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "automatic")]
    cause: Option<&'static str>,
    /// With `delivery`: `dlv_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    /// With `offered`: the wave, from 1; 0 where an operator assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    wave: Option<u32>,
    /// With `step`: what was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "picked_up")]
    step: Option<&'static str>,
    /// With `step`: the time that the device gave; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_at: Option<String>,
    /// With `step`: true where the driver had the delivery no more, so that it changed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
    /// With `step`: how far the driver was from the place, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 40)]
    far_m: Option<i64>,
    /// With `far_m`: whether that was farther than 500 metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    far: Option<bool>,
    /// With `step`: `code`, or the reference of a photo.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

/// The timeline of an order.
#[derive(Serialize, ToSchema)]
pub(super) struct TimelineView {
    /// `ord_…`
    order_id: String,
    /// Oldest first: every move, the changes, at most 500 acknowledgements, at most 500 of `shown` and `acted`, the rings as one
    /// entry, the channels that were used, and the next deadline, which lies ahead.
    items: Vec<TimelineItem>,
}

impl TimelineItem {
    fn new(entry: TimelineEntry) -> Self {
        let nothing = Self { at: entry.at.to_rfc3339(), ..Self::default() };
        match entry.what {
            TimelineEvent::Moved { from, to, party, user, reason } => Self {
                kind: "moved",
                from: from.map(|from| from.as_str()),
                to: Some(to.as_str()),
                party: Some(party.as_str()),
                user_id: user.map(|user| user.to_string()),
                reason,
                ..nothing
            },
            TimelineEvent::Acknowledged { device, user } => Self {
                kind: "acknowledged",
                device: Some(device),
                user_id: user.map(|user| user.to_string()),
                ..nothing
            },
            TimelineEvent::Marked { kind, device, user } => {
                Self { kind: kind.as_str(), device: Some(device), user_id: Some(user.to_string()), ..nothing }
            }
            TimelineEvent::Changed { fields, party, user } => Self {
                kind: "changed",
                changed: Some(fields.into_iter().map(OrderField::as_str).collect()),
                party: Some(party.as_str()),
                user_id: user.map(|user| user.to_string()),
                ..nothing
            },
            TimelineEvent::Rang { rings, last } => nothing.of_rings(rings, last),
            TimelineEvent::Reached { channel, rung, state } => nothing.of_channel(channel, rung, state),
            TimelineEvent::Deadline => Self { kind: "deadline", ..nothing },
            what @ (TimelineEvent::Offered { .. }
            | TimelineEvent::Stepped { .. }
            | TimelineEvent::Delivery { .. }) => nothing.of_delivery(what),
            what => nothing.of_money(what),
        }
    }

    fn of_money(self, what: TimelineEvent) -> Self {
        match what {
            TimelineEvent::Payment { payment, way, state, amount_minor, captured_minor, user } => Self {
                kind: "payment",
                payment_id: Some(payment.to_string()),
                method: Some(way.as_str()),
                result: Some(state.to_string()),
                amount_minor: Some(captured_minor.max(amount_minor)),
                user_id: Some(user.to_string()),
                ..self
            },
            TimelineEvent::Refund { refund, amount_minor, cause, way, state, reason, user, .. } => Self {
                kind: "refund",
                refund_id: Some(refund.to_string()),
                method: Some(way.as_str()),
                result: Some(state.to_string()),
                amount_minor: Some(amount_minor),
                cause: Some(cause.as_str()),
                reason,
                user_id: user.map(|user| user.to_string()),
                ..self
            },
            TimelineEvent::Message { state, .. } => Self { kind: "message", result: Some(state), ..self },
            _ => self,
        }
    }

    fn of_delivery(self, what: TimelineEvent) -> Self {
        match what {
            TimelineEvent::Offered { driver, wave, state, reason, ended_at } => Self {
                kind: "offered",
                user_id: Some(driver.to_string()),
                wave: Some(wave),
                result: Some(state.to_string()),
                reason,
                last_at: ended_at.map(Timestamp::to_rfc3339),
                ..self
            },
            TimelineEvent::Stepped { step, party, user, said_at, late, far_m, reason, proof } => Self {
                kind: "step",
                step: Some(step.as_str()),
                party: Some(party.as_str()),
                user_id: user.map(|user| user.to_string()),
                said_at: said_at.map(Timestamp::to_rfc3339),
                late: late.then_some(true),
                far_m,
                far: far_m.map(|metres| metres > FAR_M),
                reason,
                proof,
                ..self
            },
            TimelineEvent::Delivery { delivery, status, driver, reason } => Self {
                kind: "delivery",
                delivery_id: Some(delivery.to_string()),
                result: Some(status.to_string()),
                user_id: driver.map(|driver| driver.to_string()),
                reason: reason.map(|reason| reason.to_string()),
                ..self
            },
            _ => self,
        }
    }

    fn of_rings(self, rings: u64, last: Timestamp) -> Self {
        Self { kind: "rang", rings: Some(rings), last_at: Some(last.to_rfc3339()), ..self }
    }

    fn of_channel(self, channel: Channel, rung: Rung, state: String) -> Self {
        let (channel, rung) = (Some(channel.as_str()), Some(rung.as_str()));
        Self { kind: "reached", channel, rung, result: Some(state), ..self }
    }
}

/// Read the timeline of an order: customers and the driver see its transitions, changes and deadline, the business and operators also who made them,
/// what devices said, and how the business was alerted. An acknowledgement says that the order has arrived on a device, `shown` and `acted` what a person did there.
#[utoipa::path(operation_id = "readTimeline", tag = "orders",
    params(("id" = String, Path, description = "`ord_…`")),
    responses((status = 200, description = "Oldest first", body = TimelineView)))]
#[get("/orders/{id}/timeline")]
pub(super) async fn timeline(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<OrderId>,
) -> Result<HttpResponse, ApiError> {
    let (order, party) = order_for(&app, who.principal, id.0).await?;
    let mut entries = app.store.timeline(order.id).await?;
    let is_for_all = matches!(party, Party::Customer | Party::Driver);
    if is_for_all {
        entries.retain(|entry| match entry.what {
            TimelineEvent::Moved { .. }
            | TimelineEvent::Changed { .. }
            | TimelineEvent::Payment { .. }
            | TimelineEvent::Refund { .. }
            | TimelineEvent::Delivery { .. }
            | TimelineEvent::Deadline => true,
            TimelineEvent::Acknowledged { .. }
            | TimelineEvent::Marked { .. }
            | TimelineEvent::Rang { .. }
            | TimelineEvent::Message { .. }
            | TimelineEvent::Offered { .. }
            | TimelineEvent::Stepped { .. }
            | TimelineEvent::Reached { .. } => false,
        });
    }
    let mut items: Vec<TimelineItem> = entries.into_iter().map(TimelineItem::new).collect();
    if is_for_all {
        items.iter_mut().for_each(|item| item.user_id = None);
    }
    Ok(HttpResponse::Ok().json(TimelineView { order_id: order.id.to_string(), items }))
}

impl Endpoint for timeline {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
