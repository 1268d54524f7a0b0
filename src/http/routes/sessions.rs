//! Login sessions of a user.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::{HttpResponse, delete, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::LoginSessionId;
use crate::domain::time::Timestamp;
use crate::storage::commands::Removal;

use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};

/// Most login sessions in a list; older ones end by themselves.
const MAX_LISTED: u32 = 100;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(list).endpoint(end);
}

/// The device of a login session.
#[derive(Serialize, ToSchema)]
pub struct SessionDeviceView {
    /// The device's own id.
    #[schema(example = "tablet-kitchen-1")]
    id: String,
    /// The name its owner gave it.
    #[schema(example = "Kitchen tablet")]
    name: Option<String>,
    /// Like `ios` or `web`.
    #[schema(example = "android")]
    platform: Option<String>,
}

/// A login session.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    /// `ses_…`
    #[schema(example = "ses_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// The device, if the client named one.
    device: Option<SessionDeviceView>,
    /// RFC 3339.
    #[schema(example = "2026-01-31T18:30:00Z")]
    created_at: String,
    /// The last request, refresh or moment with an open socket, to about a minute.
    #[schema(example = "2026-01-31T18:30:00Z")]
    last_active_at: String,
    /// The end of the login session unless it is refreshed; RFC 3339.
    #[schema(example = "2026-03-02T18:30:00Z")]
    expires_at: String,
    /// Whether it is the caller's.
    current: bool,
}

/// The login sessions of a user.
#[derive(Serialize, ToSchema)]
pub struct SessionsView {
    /// The last active first, at most 100.
    items: Vec<SessionView>,
}

/// List your login sessions.
#[utoipa::path(operation_id = "listSessions", tag = "accounts", responses(
    (status = 200, description = "Every login session that has not ended", body = SessionsView),
))]
#[get("/auth/sessions")]
async fn list(app: web::Data<AppState>, who: SignedIn) -> Result<HttpResponse, ApiError> {
    let live = app.store.sessions_of(who.principal.user, Timestamp::now(), MAX_LISTED).await?;
    let view = |session: crate::storage::LoginSession| SessionView {
        id: session.id.to_string(),
        device: session.device.map(|device| SessionDeviceView {
            id: device.id,
            name: device.name,
            platform: device.platform,
        }),
        created_at: session.created_at.to_rfc3339(),
        last_active_at: app
            .last_seen
            .get(session.id)
            .map_or(session.last_active_at, |seen| seen.max(session.last_active_at))
            .to_rfc3339(),
        expires_at: session.expires_at.to_rfc3339(),
        current: session.id == who.principal.session,
    };
    Ok(HttpResponse::Ok().json(SessionsView { items: live.into_iter().map(view).collect() }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// End one of your login sessions.
///
/// Its access token stops working and its sockets close at once.
#[utoipa::path(operation_id = "endSession", tag = "accounts",
    params(("id" = String, Path, description = "`ses_…`")),
    responses((status = 204, description = "It has ended")))]
#[delete("/auth/sessions/{id}")]
async fn end(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<LoginSessionId>,
) -> Result<HttpResponse, ApiError> {
    if app.store.session_owner(id.0).await? != Some(who.principal.user) {
        return Err(ApiError::not_found());
    }
    match app.persistence.end_session(id.0).await? {
        Removal::Removed => Ok(HttpResponse::NoContent().finish()),
        Removal::NotThere | Removal::LastOwner => Err(ApiError::not_found()),
    }
}

impl Endpoint for end {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
