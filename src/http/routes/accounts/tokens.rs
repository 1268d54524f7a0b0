//! The tokens of a login session, as clients get them.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::refresh_token::RefreshTokens;
use crate::domain::access::Principal;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;

/// The tokens of a login session. Everybody who holds them counts as its user.
#[derive(Serialize, ToSchema)]
pub(super) struct TokensView {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// For `POST /auth/refresh`, once.
    refresh_token: String,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds the access token lasts.
    #[schema(example = 3600)]
    expires_in: u64,
    /// The role of the account.
    #[schema(example = "customer")]
    role: String,
}

/// The life of a login session since its last refresh.
pub(super) fn session_lifetime(app: &AppState) -> Duration {
    Duration::from_secs(app.settings.auth.refresh_ttl_s)
}

/// A refresh token with its generation within the login session.
pub(super) struct Refreshable {
    pub(super) token: String,
    pub(super) generation: u32,
}

/// The answer with new tokens.
pub(super) fn tokens_for(
    app: &AppState,
    principal: Principal,
    device: Option<&str>,
    next: Refreshable,
    now: Timestamp,
) -> HttpResponse {
    let access = app.tokens.issue_access(principal, device, next.generation, Uuid::now_v7(), now);
    let view = TokensView {
        access_token: access.text,
        refresh_token: next.token,
        token_type: "bearer",
        expires_in: seconds_left(access.expires_at, now),
        role: principal.role.to_string(),
    };
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(view)
}

/// The seconds until a time, 0 if it is over.
pub(super) fn seconds_left(until: Timestamp, now: Timestamp) -> u64 {
    until.unix_seconds().saturating_sub(now.unix_seconds()).try_into().unwrap_or(0)
}

/// The hash of a refresh token, as the store has it.
pub(super) fn stored_hash(token: &str) -> String {
    RefreshTokens::stored_hash(token).iter().map(|byte| format!("{byte:02x}")).collect()
}
