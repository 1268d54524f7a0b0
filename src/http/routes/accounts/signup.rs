//! Making an account.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use actix_web::{HttpResponse, post, web};
use garde::Validate;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::password::{NewPassword, Standing};
use crate::domain::access::Role;
use crate::domain::email::EmailAddress;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::input::{Body, FromText, Parsed, one_of, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::User;
use crate::storage::commands::{Approval, Creation, NewUser};

/// The role of an account that anybody may make; operators are made on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignupRole(Role);

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
pub(super) struct Signup {
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
    /// The owner's name, as others see it.
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
    /// The role of the account.
    #[schema(example = "customer")]
    role: String,
    /// The owner's name, as others see it.
    #[schema(example = "Zoë")]
    name: Option<String>,
    /// False for drivers who wait for an operator.
    approved: bool,
    /// Whether operators keep its owner out.
    suspended: bool,
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
            suspended: user.suspended_at.is_some(),
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
pub(super) async fn signup(app: web::Data<AppState>, body: Body<Signup>) -> Result<HttpResponse, ApiError> {
    let Signup { email, password, role, name } = body.0;
    let password = NewPassword::parse(password)
        .map_err(|error| ApiError::invalid_field("password", error.to_string()))?;
    let role = role.map_or(Role::Customer, |role| role.into_inner().0);
    let waits = role == Role::Driver && !app.settings.drivers.auto_approve;
    let user = NewUser {
        id: UserId::generate(),
        email: email.into_inner().into_string(),
        password_hash: app.passwords.hash(password, Standing::Stranger).await?,
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
        suspended: false,
        created_at: user.created_at.to_rfc3339(),
    };
    match app.persistence.create_user(user).await? {
        Creation::Created => Ok(HttpResponse::Created().json(view)),
        Creation::AlreadyThere => {
            Err(ApiError::new(ProblemCode::AlreadyExists, "This address has an account: sign in."))
        }
    }
}

impl Endpoint for signup {
    const FACTS: RouteFacts = RouteFacts::public().rate(Rate::Auth).body_limit(4 * KIB);
}
