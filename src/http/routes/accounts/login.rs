//! Signing in with address and password.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, post, web};
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::login_throttle::{LoginAttempt, LoginThrottle};
use crate::auth::password::{Standing, Verified};
use crate::domain::access::Principal;
use crate::domain::address::AddressBlock;
use crate::domain::email::SignInAddress;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::input::{Body, Parsed, rules};
use crate::http::limits::{RATE_LIMIT, Rate};
use crate::http::middleware::client_address::address_block;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::User;
use crate::storage::commands::{Device, NewSession, SetPassword, UserChange};

use super::tokens::{Refreshable, TokensView, session_lifetime, stored_hash, tokens_for};

/// Address and password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "zoe@example.com", "password": "battery staple",
    "device": {"id": "phone-1", "name": "Zoë's phone", "platform": "ios"}
}))]
pub(super) struct Login {
    /// The address, in any case; blanks around it do not matter.
    #[garde(dive)]
    #[schema(value_type = String, format = "email", min_length = 1, max_length = 254, example = "zoe@example.com")]
    email: Parsed<SignInAddress>,
    /// As it was chosen, in whatever normal form.
    #[garde(custom(rules::shown::<{ rules::MAX_PASSWORD }>))]
    #[schema(value_type = String, format = "password", max_length = 2400, example = "battery staple")]
    password: SecretString,
    /// The device on which the user signs in.
    #[garde(dive)]
    device: Option<LoginDevice>,
}

/// The device somebody signs in on.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginDevice {
    /// The device's own id, 1 to 64 visible ASCII characters; acknowledgements are kept by it.
    #[garde(custom(rules::device))]
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$", example = "tablet-kitchen-1")]
    id: String,
    /// The name its owner gave it.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Kitchen tablet")]
    name: Option<String>,
    /// Like `ios` or `web`.
    #[garde(inner(custom(rules::line::<32>)))]
    #[schema(min_length = 1, max_length = 32, example = "android")]
    platform: Option<String>,
}

/// Sign in.
///
/// After five failures within an hour at one account from one address each further attempt has to wait, from one second up
/// to five minutes. A device that has signed in to the account before, named by the same `device.id`, is never kept waiting
/// by the failures of others.
#[utoipa::path(operation_id = "signIn", tag = "accounts", request_body = Login, responses(
    (status = 200, description = "Signed in", body = TokensView),
    (status = 401, description = "`bad_credentials`"),
    (status = 403, description = "`account_suspended`: operators keep its owner out"),
    (status = 429, description = "`too_many_requests`: wait as long as `Retry-After` says"),
))]
#[post("/auth/login")]
pub(super) async fn login(
    app: web::Data<AppState>,
    request: HttpRequest,
    body: Body<Login>,
) -> Result<HttpResponse, ApiError> {
    let Login { email, password, device } = body.0;
    let email = email.into_inner();
    let named = device.as_ref().map(|device| device.id.as_str());
    let user = authenticate(&app, &email, password, address_block(&request), named).await?;
    let now = Timestamp::now();
    let principal = Principal { user: user.id, session: LoginSessionId::generate(), role: user.role };
    let refresh_token = app.refresh_tokens.derive(principal.session, 0);
    let device_id = device.as_ref().map(|d| d.id.clone());
    let session = NewSession {
        id: principal.session,
        user: user.id,
        device: device.map(|d| Device { id: d.id, name: d.name, platform: d.platform }),
        token_hash: stored_hash(&refresh_token),
        created_at: now,
        expires_at: now.plus(session_lifetime(&app)),
    };
    if app.persistence.open_session(session).await? == UserChange::NotThere {
        return Err(suspended());
    }
    Ok(tokens_for(
        &app,
        principal,
        device_id.as_deref(),
        Refreshable { token: refresh_token, generation: 0 },
        now,
    ))
}

impl Endpoint for login {
    const FACTS: RouteFacts = RouteFacts::public().rate(Rate::Auth).body_limit(4 * KIB);
}

/// The account, if the password is its own. Known and unknown addresses look and cost the same.
async fn authenticate(
    app: &AppState,
    email: &SignInAddress,
    password: SecretString,
    block: AddressBlock,
    device: Option<&str>,
) -> Result<User, ApiError> {
    let (user, known_device) = find_account(app, email, device).await?;
    let attempt = LoginAttempt { account: email.account(), block, known_device };
    let standing = admit(app, attempt)?;
    let verified = match &user {
        Some(user) => app.passwords.verify(password, &user.password_hash, standing).await?,
        None => {
            app.passwords.verify_unknown_user(password, standing).await?;
            Verified::No
        }
    };
    // Many guesses at once all pass the first check; the second one stops those beyond the fifth.
    admit(app, attempt)?;
    match user.filter(|_| verified != Verified::No) {
        Some(user) => {
            login_throttle(app).succeeded(attempt, Instant::now());
            if let Verified::Renewed(password_hash) = verified {
                renew_password(app, &user, password_hash).await;
            }
            // Only to those who know the password.
            if user.suspended_at.is_some() {
                return Err(suspended());
            }
            Ok(user)
        }
        None => {
            login_throttle(app).failed(attempt, Instant::now());
            app.metrics.security_events_total.with_label_values(&["login_failed"]).inc();
            Err(ApiError::new(ProblemCode::BadCredentials, "Check both and try again."))
        }
    }
}

fn suspended() -> ApiError {
    ApiError::new(ProblemCode::AccountSuspended, "Ask the operators of this hub.")
}

/// The account of an address, if there is one, and the device if it has signed in to the account before.
async fn find_account<'a>(
    app: &AppState,
    email: &SignInAddress,
    device: Option<&'a str>,
) -> Result<(Option<User>, Option<&'a str>), ApiError> {
    let mut user = None;
    // Every candidate is asked for: the time it takes must not tell whether there is one.
    for candidate in email.candidates() {
        let found = app.store.user_by_email(candidate).await?;
        user = user.or(found);
    }
    let known_device = match device {
        // Where there is no account an id of nobody is asked for, for the same reason.
        Some(device) => {
            let owner = user.as_ref().map_or_else(UserId::generate, |user| user.id);
            app.store.knows_device(owner, device).await?.then_some(device)
        }
        None => None,
    };
    Ok((user, known_device))
}

/// Replaces the hash of another normal form by that of the composed one; an error leaves that to the next login.
async fn renew_password(app: &AppState, user: &User, password_hash: String) {
    let set = SetPassword { user: user.id, password_hash, instead_of: Some(user.password_hash.clone()) };
    if let Err(error) = app.persistence.set_password(set).await {
        tracing::info!(user = %user.id, %error, "a password was not hashed anew; the next login tries again");
    }
}

fn login_throttle(app: &AppState) -> MutexGuard<'_, LoginThrottle> {
    app.login_throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn admit(app: &AppState, attempt: LoginAttempt<'_>) -> Result<Standing, ApiError> {
    let (mut throttle, now) = (login_throttle(app), Instant::now());
    throttle.admit(attempt, now).map_err(|wait| {
        // Not the class `auth`, which may have places left.
        let left = HeaderValue::from_str(&format!("\"failed-sign-ins\";r=0;t={}", wait.as_secs().max(1)));
        ApiError::new(ProblemCode::TooManyRequests, "Too many failed sign-ins: wait and try again.")
            .retry_after(wait)
            .with_header(RATE_LIMIT, left.expect("words and digits are a header value"))
    })?;
    Ok(if throttle.is_known(attempt, now) { Standing::Known } else { Standing::Stranger })
}
