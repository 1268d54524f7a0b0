//! Devices without a socket say whether they can ring.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, put, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::reachability::TooManyDevices;
use crate::domain::access::Role;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::path_text;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::Body;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, Mount, RouteFacts};
use crate::protocol::frames::is_device_id;
use crate::protocol::problem::ProblemCode;

/// Most businesses that one device rings for without a socket, the oldest ones.
const MAX_BUSINESSES: u32 = 100;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(put_device);
}

/// Whether a device can ring.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"can_ring": true}))]
struct DeviceBody {
    /// Whether it could make a sound now.
    #[garde(skip)]
    can_ring: bool,
}

/// The word of a device, as the hub took it.
#[derive(Serialize, ToSchema)]
struct DeviceView {
    /// The device.
    #[schema(example = "till-1")]
    id: String,
    /// Whether it can ring.
    can_ring: bool,
    /// Say so again before this time; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// The hub's time; RFC 3339.
    now: String,
}

/// Say whether a device without a socket can ring, as `device` does on a socket.
///
/// It holds for 45 s, and for the businesses you are a member of.
#[utoipa::path(operation_id = "putDevice", tag = "rooms", request_body = DeviceBody,
    params(("id" = String, Path, description = "The device's own id: 1 to 64 visible ASCII characters")),
    responses(
        (status = 200, description = "It is heard", body = DeviceView),
        (status = 503, description = "`unavailable`: the hub hears as many devices as it may"),
    ))]
#[put("/devices/{id}")]
async fn put_device(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    request: HttpRequest,
    body: Body<DeviceBody>,
) -> Result<HttpResponse, ApiError> {
    let id = path_text(&request, "id")?;
    if !is_device_id(&id) {
        return Err(ApiError::not_found());
    }
    let (user, can_ring) = (who.principal.user, body.0.can_ring);
    let businesses = match who.principal.role {
        Role::Merchant if can_ring => app.store.businesses_of(user, None, MAX_BUSINESSES).await?,
        Role::Merchant | Role::Admin | Role::Customer | Role::Driver => Vec::new(),
    };
    let businesses = businesses.into_iter().map(|business| business.id).collect();
    let holds = app.reachability.said_by_request(user, &id, businesses, Instant::now());
    let holds = holds.map_err(|TooManyDevices| {
        ApiError::new(ProblemCode::Unavailable, "Too many devices are heard now; say it again soon.")
    })?;
    let now = app.store.clock().now();
    let until = can_ring.then(|| now.plus(holds).to_rfc3339());
    Ok(HttpResponse::Ok().json(DeviceView { id, can_ring, until, now: now.to_rfc3339() }))
}

impl Endpoint for put_device {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().body_limit(2 * KIB);
}
