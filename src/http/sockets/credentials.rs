//! The credentials of an upgrade request.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;

use actix_http::header::{self, HeaderMap};
use serde::Deserialize;

use crate::auth::token::TicketClaims;
use crate::domain::access::Principal;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::credentials::{access_claims, ticket_claims};
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

/// The query string of an upgrade request.
#[derive(Default, Deserialize)]
pub(super) struct SocketQuery {
    pub(super) ticket: Option<String>,
    pub(super) token: Option<String>,
    pub(super) cursor: Option<String>,
}

/// The content of a caller's credentials.
pub(super) struct Credentials {
    pub(super) principal: Principal,
    pub(super) device: Option<Arc<str>>,
    pub(super) token_expires_at: Timestamp,
    /// Sent instead of a token; to be redeemed when nothing else can be refused any more.
    pub(super) ticket: Option<TicketClaims>,
}

impl Credentials {
    /// Checks the header, the one-time ticket or the token in the address, in this order.
    ///
    /// # Errors
    /// 401 when there are none or they are not valid.
    pub(super) fn of(app: &AppState, headers: &HeaderMap, query: &SocketQuery) -> Result<Self, ApiError> {
        let now = Timestamp::now();
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match (bearer, &query.ticket, &query.token) {
            (Some(token), _, _) => Self::of_token(app, token, now),
            (None, Some(ticket), _) => {
                let claims = ticket_claims(app, ticket, now)?;
                app.last_seen.touch(claims.principal.session, now);
                Ok(Self {
                    principal: claims.principal,
                    device: claims.device.clone(),
                    token_expires_at: claims.access_expires_at,
                    ticket: Some(claims),
                })
            }
            (None, None, Some(token)) => Self::of_token(app, token, now),
            (None, None, None) => Err(ApiError::new(
                ProblemCode::Unauthenticated,
                "Send a token as Authorization: Bearer, or a one-time ?ticket= from POST /api/v1/auth/ticket.",
            )),
        }
    }

    fn of_token(app: &AppState, token: &str, now: Timestamp) -> Result<Self, ApiError> {
        let claims = access_claims(app, token, now)?;
        app.last_seen.record_use(&claims, now);
        Ok(Self {
            principal: claims.principal,
            device: claims.device,
            token_expires_at: claims.expires_at,
            ticket: None,
        })
    }
}
