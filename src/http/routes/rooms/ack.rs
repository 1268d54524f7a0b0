//! Acknowledgements of devices without a socket.

use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::authorization::{RoomAccess, room_access};
use crate::domain::cursor::Cursor;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, Parsed, rules};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::storage::commands::{AckScope, DeviceAck, ScopedAck};

use super::subscribe::PathRoom;

/// How far a device has received a room.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cursor": "80a19d51.42", "device": "till-1"}))]
struct AckBody {
    /// The position of the last event that arrived.
    #[garde(dive)]
    #[schema(value_type = String, example = "80a19d51.42")]
    cursor: Parsed<Cursor>,
    /// The device: 1 to 64 visible ASCII characters. Without it, the one named at sign-in, else the login session.
    #[garde(inner(custom(rules::device)))]
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$", example = "till-1")]
    device: Option<String>,
}

/// Acknowledge the events of a room up to a cursor, as `ack` does on a socket.
///
/// It is cumulative: one for the newest event covers all since the device's last one. The first one of a device covers the event
/// at its cursor only.
#[utoipa::path(operation_id = "acknowledgeEvents", tag = "rooms", request_body = AckBody,
    params(("room" = String, Path, description = "`business:biz_…`, `order:ord_…` or `ops`")),
    responses((status = 204, description = "It is stored")))]
#[post("/rooms/{room}/ack")]
pub(super) async fn acknowledge(
    app: web::Data<AppState>,
    who: SignedIn,
    room: PathRoom,
    body: Body<AckBody>,
) -> Result<HttpResponse, ApiError> {
    let (room, principal) = (room.0, who.principal);
    if room_access(&app.reads, principal, room).await? == RoomAccess::NoSuchRoom {
        return Err(ApiError::not_found());
    }
    let AckBody { cursor, device } = body.0;
    let cursor = cursor.into_inner();
    let head = app.store.head(room).await?.cursor;
    if cursor.epoch != head.epoch || cursor.seq > head.seq {
        return Err(ApiError::invalid_field("cursor", "only what was sent can be acknowledged"));
    }
    let named = device.or_else(|| who.claims.device.as_deref().map(str::to_owned));
    let device = named.unwrap_or_else(|| principal.session.to_string());
    let ack = DeviceAck { room, device, user: principal.user, cursor, at: app.store.clock().now() };
    // What was acknowledged before is in the store; without that, only the event that is named has certainly arrived.
    let reach = AckScope::Resumed(cursor.seq.saturating_sub(1));
    app.persistence.store_acks(Arc::new([ScopedAck { ack, reach, role: principal.role }])).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for acknowledge {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>().body_limit(2 * KIB);
}
