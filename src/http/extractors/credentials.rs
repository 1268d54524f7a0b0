//! Checks of access tokens and one-time tickets against the login sessions they belong to.

use std::time::Instant;

use crate::actors::persistence::SubmitError;
use crate::auth::token::{AccessClaims, TicketClaims, TokenError};
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::Creation;

fn ticket_refused() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "The ticket is not valid; take a new one.")
}

/// Checks an access token and that its login session was not ended.
///
/// # Errors
/// 401 `token_expired` or `unauthenticated`.
pub(in crate::http) fn access_claims(
    app: &AppState,
    token: &str,
    now: Timestamp,
) -> Result<AccessClaims, ApiError> {
    let claims = app.tokens.verify_access(token, now).map_err(|error| match error {
        TokenError::Expired => {
            ApiError::new(ProblemCode::TokenExpired, "Refresh the access token and try again.")
        }
        _ => ApiError::new(ProblemCode::Unauthenticated, "The access token is not valid."),
    })?;
    if app.revocations.contains(claims.principal.session) {
        return Err(ApiError::new(ProblemCode::Unauthenticated, "This login session was ended."));
    }
    Ok(claims)
}

/// Checks a one-time ticket without redeeming it.
///
/// # Errors
/// 401 when it has expired or its login session was ended.
pub(in crate::http) fn ticket_claims(
    app: &AppState,
    ticket: &str,
    now: Timestamp,
) -> Result<TicketClaims, ApiError> {
    let claims = app.tokens.verify_ticket(ticket, now).map_err(|error| match error {
        TokenError::Expired => {
            ApiError::new(ProblemCode::TokenExpired, "The ticket has expired; take a new one.")
        }
        _ => ticket_refused(),
    })?;
    if app.revocations.contains(claims.principal.session) {
        return Err(ticket_refused());
    }
    Ok(claims)
}

/// Checks a ticket that opened a stream before, for a client that proves so by other means. It is valid until the access
/// token expires that it was taken with, or its login session is ended.
///
/// # Errors
/// 401 when either is over.
pub(in crate::http) fn old_ticket_claims(
    app: &AppState,
    ticket: &str,
    now: Timestamp,
) -> Result<TicketClaims, ApiError> {
    let claims = app.tokens.verify_old_ticket(ticket, now).map_err(|_| ticket_refused())?;
    if app.revocations.contains(claims.principal.session) {
        return Err(ticket_refused());
    }
    Ok(claims)
}

/// Redeems a one-time ticket, which is possible once: call it when nothing else can be refused any more.
///
/// # Errors
/// 401 when it was redeemed before; 503 when that cannot be written, and then it can be redeemed again.
pub(in crate::http) async fn redeem_ticket(app: &AppState, claims: &TicketClaims) -> Result<(), ApiError> {
    let ticket = claims.ticket_id;
    match app.persistence.redeem_ticket(ticket.to_string(), claims.expires_at).await {
        Ok(Creation::Created) => Ok(()),
        // By an attempt that was told to come again.
        Ok(Creation::AlreadyThere) if app.unanswered_tickets.remove(ticket) => Ok(()),
        Ok(Creation::AlreadyThere) => Err(ticket_refused()),
        Err(error) => {
            if error == SubmitError::OutcomeUnknown {
                app.unanswered_tickets.insert(ticket, Instant::now());
            }
            Err(error.into())
        }
    }
}
