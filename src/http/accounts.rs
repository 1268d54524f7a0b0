//! Accounts and sign-ins (requirements 1.1 to 1.6).

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, post, web};
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::domain::access::{Principal, Role};
use crate::domain::address::AddressBlock;
use crate::domain::email::{EmailAddress, SignInAddress};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::User;
use crate::storage::commands::{
    Approval, Creation, Device, NewSession, NewUser, RotateSession, Rotation, SetPassword,
};

use super::guard::{BeforeBody, block_of};
use super::identity::SignedIn;
use super::input::{Body, FromText, Parsed, one_of, rules, schema_of};
use super::limits::{Class, RATE_LIMIT, Subject};
use super::problem::ApiError;
use super::state::Api;
use crate::auth::password::{NewPassword, Standing, Verified};
use crate::auth::refresh::RefreshTokens;
use crate::auth::throttle::{Attempt, Throttle};

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(signup).service(login).service(refresh).service(logout).service(ticket);
}

/// What an account can be made for by whoever asks; operators are made on the command line.
#[derive(Clone, Copy, Debug)]
pub struct SignupRole(Role);

impl FromText for SignupRole {
    const EXAMPLE: &'static str = "customer";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&[Role::Customer, Role::Merchant, Role::Driver], Role::as_str, text).map(Self)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(vec!["customer", "merchant", "driver"])
    }
}

/// A new account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "zoe@example.com", "password": "battery staple", "name": "Zoë"}))]
pub struct Signup {
    /// Unique, whatever its case; blanks around it do not matter, and its domain may be in any script.
    #[garde(dive)]
    #[schema(value_type = String, format = "email", max_length = 254, example = "zoe@example.com")]
    email: Parsed<EmailAddress>,
    /// 8 to 200 characters of any script, counted in the composed form (NFC).
    #[garde(custom(rules::new_password))]
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 200, example = "battery staple")]
    password: SecretString,
    /// `customer` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<SignupRole>)]
    role: Option<Parsed<SignupRole>>,
    /// What others call its owner.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Zoë")]
    name: Option<String>,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct UserView {
    /// `usr_…`
    #[schema(example = "usr_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// In lower case, its domain in ASCII (`xn--…`).
    #[schema(example = "zoe@example.com")]
    email: String,
    /// What it is for.
    #[schema(example = "customer")]
    role: String,
    /// What others call its owner.
    #[schema(example = "Zoë")]
    name: Option<String>,
    /// False for drivers who wait for an operator.
    approved: bool,
    /// RFC 3339.
    #[schema(example = "2026-01-31T18:30:00Z")]
    created_at: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            role: user.role.to_string(),
            name: user.name,
            approved: user.approved == Approval::Approved,
            created_at: user.created_at.to_rfc3339(),
        }
    }
}

/// Make an account.
#[utoipa::path(operation_id = "signUp", tag = "accounts", request_body = Signup, responses(
    (status = 201, description = "The account; sign in to use it", body = UserView),
    (status = 409, description = "`already_exists`: the address has an account"),
))]
#[post("/auth/signup")]
async fn signup(api: web::Data<Api>, body: Body<Signup>) -> Result<HttpResponse, ApiError> {
    let Signup { email, password, role, name } = body.0;
    let password = NewPassword::parse(password)
        .map_err(|error| ApiError::invalid_field("password", error.to_string()))?;
    let role = role.map_or(Role::Customer, |role| role.into_inner().0);
    let waits = role == Role::Driver && !api.settings.drivers.auto_approve;
    let user = NewUser {
        id: UserId::generate(),
        email: email.into_inner().into_string(),
        password_hash: api.passwords.hash(password, Standing::Stranger).await?,
        role,
        name,
        approved: if waits { Approval::Pending } else { Approval::Approved },
        created_at: Timestamp::now(),
    };
    let view = UserView {
        id: user.id.to_string(),
        email: user.email.clone(),
        role: role.to_string(),
        name: user.name.clone(),
        approved: user.approved == Approval::Approved,
        created_at: user.created_at.to_rfc3339(),
    };
    match api.persistence.create_user(user).await? {
        Creation::Created => Ok(HttpResponse::Created().json(view)),
        Creation::AlreadyThere => {
            Err(ApiError::new(ProblemCode::AlreadyExists, "This address has an account: sign in."))
        }
    }
}

/// Address and password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "zoe@example.com", "password": "battery staple",
    "device": {"id": "phone-1", "name": "Zoë's phone", "platform": "ios"}
}))]
pub struct Login {
    /// Whatever its case; blanks around it do not matter.
    #[garde(dive)]
    #[schema(value_type = String, format = "email", min_length = 1, max_length = 254, example = "zoe@example.com")]
    email: Parsed<SignInAddress>,
    /// As it was chosen, in whatever normal form.
    #[garde(custom(rules::shown::<{ rules::MAX_PASSWORD }>))]
    #[schema(value_type = String, format = "password", max_length = 2400, example = "battery staple")]
    password: SecretString,
    /// Where the sign-in happens.
    #[garde(dive)]
    device: Option<LoginDevice>,
}

/// The device somebody signs in on.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginDevice {
    /// The device's own id, 1 to 64 visible ASCII characters; acknowledgements are kept by it.
    #[garde(custom(rules::device))]
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$", example = "tablet-kitchen-1")]
    id: String,
    /// What its owner calls it.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Kitchen tablet")]
    name: Option<String>,
    /// Like `ios` or `web`.
    #[garde(inner(custom(rules::line::<32>)))]
    #[schema(min_length = 1, max_length = 32, example = "android")]
    platform: Option<String>,
}

/// The tokens of a sign-in. Whoever holds them is believed.
#[derive(Serialize, ToSchema)]
pub struct TokensView {
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
    /// What the account is for.
    #[schema(example = "customer")]
    role: String,
}

/// Sign in.
///
/// After five failures within an hour at one account from one address each further attempt has to wait, from one second up
/// to five minutes. A device that has signed in to the account before, named by the same `device.id`, is never kept waiting
/// by the failures of others.
#[utoipa::path(operation_id = "signIn", tag = "accounts", request_body = Login, responses(
    (status = 200, description = "Signed in", body = TokensView),
    (status = 401, description = "`bad_credentials`"),
    (status = 429, description = "`too_many_requests`: wait as long as `Retry-After` says"),
))]
#[post("/auth/login")]
async fn login(
    api: web::Data<Api>,
    request: HttpRequest,
    body: Body<Login>,
) -> Result<HttpResponse, ApiError> {
    let Login { email, password, device } = body.0;
    let email = email.into_inner();
    let named = device.as_ref().map(|device| device.id.as_str());
    let user = api.authenticate(&email, password, block_of(&request), named).await?;
    let now = Timestamp::now();
    let principal = Principal { user: user.id, session: SessionId::generate(), role: user.role };
    let refresh_token = api.refresh_tokens.derive(principal.session, 0);
    let device_id = device.as_ref().map(|d| d.id.clone());
    let session = NewSession {
        id: principal.session,
        user: user.id,
        device: device.map(|d| Device { id: d.id, name: d.name, platform: d.platform }),
        token_hash: stored_hash(&refresh_token),
        created_at: now,
        expires_at: now.plus(api.session_lifetime()),
    };
    api.persistence.open_session(session).await?;
    Ok(api.tokens_for(
        principal,
        device_id.as_deref(),
        Refreshable { token: refresh_token, generation: 0 },
        now,
    ))
}

/// A refresh token.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "the last one given"}))]
pub struct Refresh {
    /// The last one given.
    #[garde(custom(rules::shown::<1024>))]
    #[schema(value_type = String, max_length = 1024)]
    refresh_token: SecretString,
}

/// Exchange a refresh token for new tokens.
///
/// A token is good for one exchange. Repeating the last exchange gives the same successor, however late, as long as neither
/// that nor an access token given with it was used, since the answer may have been lost; and within ten seconds after the first
/// use, for a page that is open twice. Any other use of an older token ends the sign-in.
#[utoipa::path(operation_id = "refreshTokens", tag = "accounts", request_body = Refresh, responses(
    (status = 200, description = "New tokens", body = TokensView),
    (status = 401, description = "`refresh_refused`: sign in again"),
))]
#[post("/auth/refresh")]
async fn refresh(
    api: web::Data<Api>,
    request: HttpRequest,
    body: Body<Refresh>,
) -> Result<HttpResponse, ApiError> {
    // What was consumed before the body was read stays consumed unless a token of ours is in it.
    let refused = || ApiError::new(ProblemCode::RefreshRefused, "Sign in again.");
    let token = body.0.refresh_token;
    let token = token.expose_secret();
    let (session, generation) = api.refresh_tokens.parse_and_check(token).map_err(|_| refused())?;
    let deposit = request.extensions_mut().remove::<BeforeBody>();
    api.refund(deposit.as_ref().and_then(|deposit| deposit.0.as_ref())).await;
    let spent = api.spend(Class::Refresh, Subject::Family(session)).await?;
    let next = generation.checked_add(1).ok_or_else(refused)?;
    let rotate = RotateSession {
        session,
        generation,
        presented_hash: stored_hash(token),
        successor_hash: stored_hash(&api.refresh_tokens.derive(session, next)),
        lifetime: api.session_lifetime(),
        used: api.activity.newest_use(session),
    };
    match api.persistence.rotate_session(rotate).await? {
        Rotation::Continued { generation, user, role, device, .. } => {
            let successor = Refreshable { token: api.refresh_tokens.derive(session, generation), generation };
            let principal = Principal { user, session, role };
            let mut answer = api.tokens_for(principal, device.as_deref(), successor, Timestamp::now());
            if let Some(spent) = spent {
                spent.tell(answer.headers_mut());
            }
            Ok(answer)
        }
        Rotation::Reused { user } => {
            tracing::warn!(%user, %session, "a rotated refresh token was used again; the sign-in was ended");
            Err(refused())
        }
        Rotation::Refused => Err(refused()),
    }
}

/// Sign out.
///
/// The access token stops working and the sign-in's sockets close at once.
#[utoipa::path(operation_id = "signOut", tag = "accounts", security(("bearer" = [])), responses(
    (status = 204, description = "Signed out"),
))]
#[post("/auth/logout")]
async fn logout(api: web::Data<Api>, who: SignedIn) -> Result<HttpResponse, ApiError> {
    api.persistence.end_session(who.principal.session).await?;
    Ok(HttpResponse::NoContent().finish())
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
#[utoipa::path(operation_id = "takeTicket", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, description = "Good for one use", body = TicketView),
))]
#[post("/auth/ticket")]
async fn ticket(api: web::Data<Api>, who: SignedIn) -> HttpResponse {
    let now = Timestamp::now();
    let signed = api.tokens.issue_ticket(&who.claims, Uuid::now_v7(), now);
    let view = TicketView { ticket: signed.text, expires_in: seconds_left(signed.expires_at, now) };
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(view)
}

impl Api {
    /// The account, if the password is its own. Known and unknown addresses look and cost the same.
    async fn authenticate(
        &self,
        email: &SignInAddress,
        password: SecretString,
        block: AddressBlock,
        device: Option<&str>,
    ) -> Result<User, ApiError> {
        let mut user = None;
        // All are asked for, since the time it takes must not tell whether there is one.
        for candidate in email.candidates() {
            let found = self.store.user_by_email(candidate).await?;
            user = user.or(found);
        }
        let known_device = match device {
            // Asked for nobody where there is no such account, for the same reason.
            Some(device) => {
                let owner = user.as_ref().map_or_else(UserId::generate, |user| user.id);
                self.store.knows_device(owner, device).await?.then_some(device)
            }
            None => None,
        };
        let attempt = Attempt { account: email.account(), block, known_device };
        let standing = self.admit(attempt)?;
        let verified = match &user {
            Some(user) => self.passwords.verify(password, &user.password_hash, standing).await?,
            None => {
                self.passwords.verify_unknown_user(password, standing).await?;
                Verified::No
            }
        };
        // Many guesses at once all pass the first question; asked again, they learn nothing beyond the fifth.
        self.admit(attempt)?;
        match user.filter(|_| verified != Verified::No) {
            Some(user) => {
                self.throttle().succeeded(attempt, Instant::now());
                if let Verified::Renewed(password_hash) = verified {
                    self.renew_password(&user, password_hash).await;
                }
                Ok(user)
            }
            None => {
                self.throttle().failed(attempt, Instant::now());
                self.metrics.security_events_total.with_label_values(&["login_failed"]).inc();
                Err(ApiError::new(ProblemCode::BadCredentials, "Check both and try again."))
            }
        }
    }

    /// Stores the hash of the composed form in the place of that of another; if not now, then at the next sign-in.
    async fn renew_password(&self, user: &User, password_hash: String) {
        let set = SetPassword { user: user.id, password_hash, instead_of: Some(user.password_hash.clone()) };
        if let Err(error) = self.persistence.set_password(set).await {
            tracing::info!(user = %user.id, %error, "a password was not hashed anew; its next sign-in tries again");
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, attempt: Attempt<'_>) -> Result<Standing, ApiError> {
        let (mut throttle, now) = (self.throttle(), Instant::now());
        throttle.admit(attempt, now).map_err(|wait| {
            // Not the class `auth`, which may have places left.
            let left = HeaderValue::from_str(&format!("\"failed-sign-ins\";r=0;t={}", wait.as_secs().max(1)));
            ApiError::new(ProblemCode::TooManyRequests, "Too many failed sign-ins: wait and try again.")
                .retry_after(wait)
                .with_header(RATE_LIMIT, left.expect("words and digits are a header value"))
        })?;
        Ok(if throttle.is_known(attempt, now) { Standing::Known } else { Standing::Stranger })
    }

    fn session_lifetime(&self) -> Duration {
        Duration::from_secs(self.settings.auth.refresh_ttl_s)
    }

    fn tokens_for(
        &self,
        principal: Principal,
        device: Option<&str>,
        next: Refreshable,
        now: Timestamp,
    ) -> HttpResponse {
        let access = self.tokens.issue_access(principal, device, next.generation, Uuid::now_v7(), now);
        let view = TokensView {
            access_token: access.text,
            refresh_token: next.token,
            token_type: "bearer",
            expires_in: seconds_left(access.expires_at, now),
            role: principal.role.to_string(),
        };
        HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(view)
    }
}

/// A refresh token that holds, and which of its sign-in's it is.
struct Refreshable {
    token: String,
    generation: u32,
}

fn seconds_left(until: Timestamp, now: Timestamp) -> u64 {
    until.unix_seconds().saturating_sub(now.unix_seconds()).try_into().unwrap_or(0)
}

fn stored_hash(token: &str) -> String {
    RefreshTokens::stored_hash(token).iter().map(|byte| format!("{byte:02x}")).collect()
}
