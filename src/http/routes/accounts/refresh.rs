//! Exchanging a refresh token.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, post, web};
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::access::Principal;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::input::{Body, rules};
use crate::http::limits::consume::{consume, refund};
use crate::http::limits::{QuotaSubject, Rate, RateClass};
use crate::http::middleware::rate_limit::Deposit;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{RotateSession, Rotation};

use super::tokens::{Refreshable, TokensView, session_lifetime, stored_hash, tokens_for};

/// A refresh token.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "the last one given"}))]
pub(super) struct Refresh {
    /// The last one given.
    #[garde(custom(rules::shown::<1024>))]
    #[schema(value_type = String, max_length = 1024)]
    refresh_token: SecretString,
}

/// Exchange a refresh token for new tokens.
///
/// A token is good for one exchange. Repeating the last exchange gives the same successor, however late, as long as neither
/// that nor an access token given with it was used, since the answer may have been lost; and within ten seconds after the first
/// use, for a page that is open twice. Any other use of an older token ends the login session.
#[utoipa::path(operation_id = "refreshTokens", tag = "accounts", request_body = Refresh, responses(
    (status = 200, description = "New tokens", body = TokensView),
    (status = 401, description = "`refresh_refused`: sign in again"),
))]
#[post("/auth/refresh")]
pub(super) async fn refresh(
    app: web::Data<AppState>,
    request: HttpRequest,
    body: Body<Refresh>,
) -> Result<HttpResponse, ApiError> {
    // The quota consumed before the body was read stays consumed unless the body holds one of our tokens.
    let refused = || ApiError::new(ProblemCode::RefreshRefused, "Sign in again.");
    let token = body.0.refresh_token;
    let token = token.expose_secret();
    let (session, generation) = app.refresh_tokens.parse_and_check(token).map_err(|_| refused())?;
    let deposit = request.extensions_mut().remove::<Deposit>();
    refund(&app, deposit.as_ref().and_then(|deposit| deposit.0.as_ref()));
    let status = consume(&app, RateClass::Refresh, QuotaSubject::Family(session)).await?;
    let next = generation.checked_add(1).ok_or_else(refused)?;
    let rotate = RotateSession {
        session,
        generation,
        presented_hash: stored_hash(token),
        successor_hash: stored_hash(&app.refresh_tokens.derive(session, next)),
        lifetime: session_lifetime(&app),
        used: app.last_seen.newest_use(session),
    };
    match app.persistence.rotate_session(rotate).await? {
        Rotation::Continued { generation, user, role, device, .. } => {
            let successor = Refreshable { token: app.refresh_tokens.derive(session, generation), generation };
            let principal = Principal { user, session, role };
            let mut answer = tokens_for(&app, principal, device.as_deref(), successor, Timestamp::now());
            if let Some(status) = status {
                status.write_to(answer.headers_mut());
            }
            Ok(answer)
        }
        Rotation::Reused { user } => {
            tracing::warn!(%user, %session, "a rotated refresh token was used again; its login session was ended");
            Err(refused())
        }
        Rotation::Refused => Err(refused()),
    }
}

impl Endpoint for refresh {
    const FACTS: RouteFacts = RouteFacts::public().rate(Rate::Refresh).body_limit(2 * KIB);
}
