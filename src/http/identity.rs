//! Who asks: a checked bearer token, and what its holder may do where.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};

use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::cache::Copied;
use crate::storage::command::Creation;

use super::access::token::{AccessClaims, TicketClaims, TokenError};
use super::problem::ApiError;
use super::state::Api;

/// The roles that may use a route.
pub trait Audience {
    /// All of them.
    const ROLES: &'static [Role];
}

/// Every role.
#[derive(Debug)]
pub enum Anyone {}

impl Audience for Anyone {
    const ROLES: &'static [Role] = &Role::ALL;
}

/// Those who work for businesses, and operators.
#[derive(Debug)]
pub enum Merchants {}

impl Audience for Merchants {
    const ROLES: &'static [Role] = &[Role::Merchant, Role::Admin];
}

/// Operators.
#[derive(Debug)]
pub enum Operators {}

impl Audience for Operators {
    const ROLES: &'static [Role] = &[Role::Admin];
}

/// Those who place orders: customers, and merchants for their tables.
#[derive(Debug)]
pub enum Orderers {}

impl Audience for Orderers {
    const ROLES: &'static [Role] = &[Role::Customer, Role::Merchant];
}

/// Somebody whose token holds, whose sign-in was not ended, and whose role may use the route: 401 without the first
/// two, 403 without the last. Put it before other extractors, so that its answer wins.
#[derive(Debug)]
pub struct SignedIn<A = Anyone> {
    /// Who.
    pub principal: Principal,
    /// What the token said.
    pub claims: AccessClaims,
    audience: PhantomData<A>,
}

impl<A: Audience + 'static> FromRequest for SignedIn<A> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(signed_in(request))
    }
}

/// As the extractor [`SignedIn`].
pub(super) fn signed_in<A: Audience>(request: &HttpRequest) -> Result<SignedIn<A>, ApiError> {
    let api = request.app_data::<web::Data<Api>>().expect("the routes are mounted together with their state");
    let claims = shown(request, api).ok_or_else(|| {
        ApiError::new(ProblemCode::Unauthenticated, "Send an access token as Authorization: Bearer.")
    })??;
    if !A::ROLES.contains(&claims.principal.role) {
        return Err(ApiError::new(
            ProblemCode::Forbidden,
            format!("This is not for the role {}.", claims.principal.role),
        ));
    }
    Ok(SignedIn { principal: claims.principal, claims, audience: PhantomData })
}

fn ticket_refused() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "The ticket does not hold; take a new one.")
}

/// What came of checking the bearer token; it is checked once for each request.
#[derive(Clone)]
struct Shown(Option<Result<AccessClaims, ApiError>>);

/// What the request's bearer token says, or why it does not hold; `None` without one.
pub(super) fn shown(request: &HttpRequest, api: &Api) -> Option<Result<AccessClaims, ApiError>> {
    if let Some(known) = request.extensions().get::<Shown>() {
        return known.0.clone();
    }
    let checked = bearer(request).map(|token| api.access_claims(token, Timestamp::now()));
    request.extensions_mut().insert(Shown(checked.clone()));
    checked
}

/// The token of the `Authorization` header, if it is one of a bearer and comes once.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

impl Api {
    /// Checks an access token and that its sign-in was not ended.
    ///
    /// # Errors
    /// 401 `token_expired` or `unauthenticated`.
    pub fn access_claims(&self, token: &str, now: Timestamp) -> Result<AccessClaims, ApiError> {
        let claims = self.tokens.verify_access(token, now).map_err(|error| match error {
            TokenError::Expired => {
                ApiError::new(ProblemCode::TokenExpired, "Refresh the access token and try again.")
            }
            _ => ApiError::new(ProblemCode::Unauthenticated, "The access token does not hold."),
        })?;
        if self.revocations.contains(claims.principal.session) {
            return Err(ApiError::new(ProblemCode::Unauthenticated, "This sign-in was ended."));
        }
        Ok(claims)
    }

    /// Checks a one-time ticket without taking it.
    ///
    /// # Errors
    /// 401 when it has expired or its sign-in was ended.
    pub fn ticket_claims(&self, ticket: &str, now: Timestamp) -> Result<TicketClaims, ApiError> {
        let claims = self.tokens.verify_ticket(ticket, now).map_err(|error| match error {
            TokenError::Expired => {
                ApiError::new(ProblemCode::TokenExpired, "The ticket has expired; take a new one.")
            }
            _ => ticket_refused(),
        })?;
        if self.revocations.contains(claims.principal.session) {
            return Err(ticket_refused());
        }
        Ok(claims)
    }

    /// Takes a one-time ticket, which cannot be taken again: when nothing else can be refused any more.
    ///
    /// # Errors
    /// 401 when it was taken before; 503 when that cannot be written down.
    pub async fn redeem_ticket(&self, claims: &TicketClaims) -> Result<(), ApiError> {
        match self.persistence.redeem_ticket(claims.ticket_id.to_string(), claims.expires_at).await? {
            Creation::Created => Ok(()),
            Creation::AlreadyThere => Err(ticket_refused()),
        }
    }

    /// What `principal` may do at a business: operators act as owners everywhere.
    ///
    /// # Errors
    /// 404 for everybody else, whether or not the business exists.
    pub async fn membership(
        &self,
        principal: Principal,
        business: BusinessId,
    ) -> Result<MemberRole, ApiError> {
        let role = match principal.role {
            Role::Admin => self.store.business(business).await?.map(|_| MemberRole::Owner),
            Role::Merchant => self.store.membership(business, principal.user).await?,
            Role::Customer | Role::Driver => None,
        };
        role.ok_or_else(ApiError::not_found)
    }

    /// As [`Self::membership`], for showing only: while the store is away what it said last holds.
    ///
    /// # Errors
    /// As [`Self::membership`].
    pub(super) async fn membership_to_see(
        &self,
        principal: Principal,
        business: BusinessId,
    ) -> Result<Copied<MemberRole>, ApiError> {
        let role = match principal.role {
            Role::Admin => {
                let found = self.reads.business(business).await?;
                found.map(|copy| Copied { value: MemberRole::Owner, freshness: copy.freshness })
            }
            Role::Merchant => self.reads.membership(business, principal.user).await?,
            Role::Customer | Role::Driver => None,
        };
        role.ok_or_else(ApiError::not_found)
    }
}
