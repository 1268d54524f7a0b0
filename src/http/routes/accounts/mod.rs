//! Accounts and their login sessions.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

mod login;
mod me;
mod refresh;
mod signup;
mod tokens;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};

pub use signup::UserView;
use tokens::seconds_left;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(signup::signup)
        .endpoint(login::login)
        .endpoint(refresh::refresh)
        .endpoint(logout)
        .endpoint(me::read)
        .endpoint(me::change)
        .endpoint(ticket);
}

/// Sign out.
///
/// The access token stops working and the login session's sockets close at once.
#[utoipa::path(operation_id = "signOut", tag = "accounts", responses(
    (status = 204, description = "Signed out"),
))]
#[post("/auth/logout")]
async fn logout(app: web::Data<AppState>, who: SignedIn) -> Result<HttpResponse, ApiError> {
    app.persistence.end_session(who.principal.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for logout {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// Opens one socket or one stream.
#[derive(Serialize, ToSchema)]
pub struct TicketView {
    /// For `?ticket=`.
    ticket: String,
    /// Seconds it lasts.
    #[schema(example = 30)]
    expires_in: u64,
}

/// Take a ticket for one socket.
///
/// Browsers cannot send a header when they open a socket, and a token does not belong in a URL.
#[utoipa::path(operation_id = "takeTicket", tag = "accounts", responses(
    (status = 200, description = "Good for one use", body = TicketView),
))]
#[post("/auth/ticket")]
async fn ticket(app: web::Data<AppState>, who: SignedIn) -> HttpResponse {
    let now = Timestamp::now();
    let signed = app.tokens.issue_ticket(&who.claims, Uuid::now_v7(), now);
    let view = TicketView { ticket: signed.text, expires_in: seconds_left(signed.expires_at, now) };
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(view)
}

impl Endpoint for ticket {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
