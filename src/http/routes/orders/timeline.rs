//! The timeline of an order.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::OrderId;
use crate::domain::order::Party;
use crate::storage::{TimelineEntry, TimelineEvent};

use super::access::order_for;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// An entry of an order's timeline.
#[derive(Serialize, ToSchema)]
pub(super) struct TimelineItem {
    /// RFC 3339.
    at: String,
    /// `moved`; for the business and operators also `acknowledged`, `shown` and `acted`.
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
    /// `usr_…`: who it was, or who was signed in on the device. Not for customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The reason, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The device. Not for customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

/// The timeline of an order.
#[derive(Serialize, ToSchema)]
pub(super) struct TimelineView {
    /// `ord_…`
    order_id: String,
    /// Oldest first: every move, at most 500 acknowledgements, and at most 500 of `shown` and `acted`.
    items: Vec<TimelineItem>,
}

impl TimelineItem {
    fn new(entry: TimelineEntry) -> Self {
        let nothing = Self {
            at: entry.at.to_rfc3339(),
            kind: "moved",
            from: None,
            to: None,
            party: None,
            user_id: None,
            reason: None,
            device: None,
        };
        match entry.what {
            TimelineEvent::Moved { from, to, party, user, reason } => Self {
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
        }
    }
}

/// Read the timeline of an order: customers see its transitions, the business and operators also who made them and what
/// devices said. An acknowledgement says that the order has arrived on a device, `shown` and `acted` what a person did there.
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
    if party == Party::Customer {
        entries.retain(|entry| matches!(entry.what, TimelineEvent::Moved { .. }));
    }
    let mut items: Vec<TimelineItem> = entries.into_iter().map(TimelineItem::new).collect();
    if party == Party::Customer {
        items.iter_mut().for_each(|item| item.user_id = None);
    }
    Ok(HttpResponse::Ok().json(TimelineView { order_id: order.id.to_string(), items }))
}

impl Endpoint for timeline {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
