//! Where somebody is signed in (requirement 1.4).

use actix_web::{HttpResponse, delete, get, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;
use crate::storage::commands::Removal;

use super::identity::SignedIn;
use super::input::PathId;
use super::problem::ApiError;
use super::state::Api;

/// Most sign-ins in a list; older ones end by themselves.
const MAX_LISTED: u32 = 100;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list).service(end);
}

/// The device of a sign-in.
#[derive(Serialize, ToSchema)]
pub struct SessionDeviceView {
    /// The device's own id.
    #[schema(example = "tablet-kitchen-1")]
    id: String,
    /// What its owner calls it.
    #[schema(example = "Kitchen tablet")]
    name: Option<String>,
    /// Like `ios` or `web`.
    #[schema(example = "android")]
    platform: Option<String>,
}

/// A sign-in.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    /// `ses_…`
    #[schema(example = "ses_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// Where it happened, if that was said.
    device: Option<SessionDeviceView>,
    /// RFC 3339.
    #[schema(example = "2026-01-31T18:30:00Z")]
    created_at: String,
    /// The last request, refresh or moment with an open socket, to about a minute.
    #[schema(example = "2026-01-31T18:30:00Z")]
    last_active_at: String,
    /// When it ends unless it is refreshed.
    #[schema(example = "2026-03-02T18:30:00Z")]
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// Sign-ins.
#[derive(Serialize, ToSchema)]
pub struct SessionsView {
    /// The last active first, at most 100.
    items: Vec<SessionView>,
}

/// Where you are signed in.
#[utoipa::path(operation_id = "listSessions", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, description = "Every sign-in that has not ended", body = SessionsView),
))]
#[get("/auth/sessions")]
async fn list(api: web::Data<Api>, who: SignedIn) -> Result<HttpResponse, ApiError> {
    let live = api.store.sessions_of(who.principal.user, Timestamp::now(), MAX_LISTED).await?;
    let view = |session: crate::storage::LoginSession| SessionView {
        id: session.id.to_string(),
        device: session.device.map(|device| SessionDeviceView {
            id: device.id,
            name: device.name,
            platform: device.platform,
        }),
        created_at: session.created_at.to_rfc3339(),
        last_active_at: api
            .activity
            .last(session.id)
            .map_or(session.last_active_at, |seen| seen.max(session.last_active_at))
            .to_rfc3339(),
        expires_at: session.expires_at.to_rfc3339(),
        current: session.id == who.principal.session,
    };
    Ok(HttpResponse::Ok().json(SessionsView { items: live.into_iter().map(view).collect() }))
}

/// End one of your sign-ins.
///
/// Its access token stops working and its sockets close at once.
#[utoipa::path(operation_id = "endSession", tag = "accounts", security(("bearer" = [])),
    params(("id" = String, Path, description = "`ses_…`")),
    responses((status = 204, description = "It has ended")))]
#[delete("/auth/sessions/{id}")]
async fn end(api: web::Data<Api>, who: SignedIn, id: PathId<SessionId>) -> Result<HttpResponse, ApiError> {
    if api.store.session_owner(id.0).await? != Some(who.principal.user) {
        return Err(ApiError::not_found());
    }
    match api.persistence.end_session(id.0).await? {
        Removal::Removed => Ok(HttpResponse::NoContent().finish()),
        Removal::NotThere | Removal::LastOwner => Err(ApiError::not_found()),
    }
}
