//! Who asks: a checked bearer token, and what its holder may do where.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use crate::actors::persistence::SubmitError;
use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::cache::Cached;
use crate::storage::commands::{Approval, Creation};

use super::problem::ApiError;
use super::state::Api;
use crate::auth::token::{AccessClaims, TicketClaims, TokenError};

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

/// Those who take deliveries. A route for them takes an [`ApprovedDriver`].
#[derive(Debug)]
pub enum Drivers {}

impl Audience for Drivers {
    const ROLES: &'static [Role] = &[Role::Driver];
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

/// A driver whose account may be used: 403 `driver_pending` while no operator has approved it. Every route for drivers takes
/// this, and whoever upgrades a socket for drivers asks [`Api::check_approval`].
#[derive(Debug)]
pub struct ApprovedDriver(pub SignedIn<Drivers>);

impl FromRequest for ApprovedDriver {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let who = signed_in(request);
        let api = request.app_data::<web::Data<Api>>();
        let api = api.expect("the routes are mounted together with their state").clone();
        Box::pin(async move {
            let who: SignedIn<Drivers> = who?;
            api.check_approval(who.principal).await?;
            Ok(Self(who))
        })
    }
}

/// Whether an account may be used for what its role is for; `None` is one that is not there.
fn judge_approval(role: Role, approval: Option<Approval>) -> Result<(), ApiError> {
    match (role, approval) {
        (Role::Driver, Some(Approval::Approved)) | (Role::Customer | Role::Merchant | Role::Admin, _) => {
            Ok(())
        }
        (Role::Driver, Some(Approval::Pending) | None) => Err(ApiError::new(
            ProblemCode::DriverPending,
            "An operator has to approve this account first; you need not sign in again then.",
        )),
    }
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

    /// Checks a ticket that opened a stream before, which has to be proven otherwise: until the access token expires that it
    /// was taken with, or its sign-in is ended.
    ///
    /// # Errors
    /// 401 when either is over.
    pub(super) fn old_ticket_claims(&self, ticket: &str, now: Timestamp) -> Result<TicketClaims, ApiError> {
        let claims = self.tokens.verify_old_ticket(ticket, now).map_err(|_| ticket_refused())?;
        if self.revocations.contains(claims.principal.session) {
            return Err(ticket_refused());
        }
        Ok(claims)
    }

    /// Takes a one-time ticket, which cannot be taken again: when nothing else can be refused any more.
    ///
    /// # Errors
    /// 401 when it was taken before; 503 when that cannot be written down, and then it can be taken again.
    pub async fn redeem_ticket(&self, claims: &TicketClaims) -> Result<(), ApiError> {
        let ticket = claims.ticket_id;
        match self.persistence.redeem_ticket(ticket.to_string(), claims.expires_at).await {
            Ok(Creation::Created) => Ok(()),
            // By an attempt that was told to come again.
            Ok(Creation::AlreadyThere) if self.unanswered_tickets.remove(ticket) => Ok(()),
            Ok(Creation::AlreadyThere) => Err(ticket_refused()),
            Err(error) => {
                if error == SubmitError::OutcomeUnknown {
                    self.unanswered_tickets.insert(ticket, Instant::now());
                }
                Err(error.into())
            }
        }
    }

    /// Whether `principal` may do what their role is for. The store is asked, so that an approval holds at once.
    ///
    /// # Errors
    /// 403 `driver_pending` for a driver who waits for an operator.
    pub async fn check_approval(&self, principal: Principal) -> Result<(), ApiError> {
        let approval = match principal.role {
            Role::Driver => self.store.user(principal.user).await?.map(|user| user.approved),
            Role::Customer | Role::Merchant | Role::Admin => None,
        };
        judge_approval(principal.role, approval)
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
    ) -> Result<Cached<MemberRole>, ApiError> {
        let role = match principal.role {
            Role::Admin => {
                let found = self.reads.business(business).await?;
                found.map(|copy| Cached { value: MemberRole::Owner, freshness: copy.freshness })
            }
            Role::Merchant => self.reads.membership(business, principal.user).await?,
            Role::Customer | Role::Driver => None,
        };
        role.ok_or_else(ApiError::not_found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_who_was_not_approved_is_kept_out_and_nobody_else() {
        let code = |role, approval| judge_approval(role, approval).err().map(|error| error.code());
        let pending = Some(ProblemCode::DriverPending);
        assert_eq!(code(Role::Driver, Some(Approval::Approved)), None);
        assert_eq!(code(Role::Driver, Some(Approval::Pending)), pending);
        assert_eq!(code(Role::Driver, None), pending);
        for role in [Role::Customer, Role::Merchant, Role::Admin] {
            assert_eq!(code(role, Some(Approval::Pending)), None);
        }
        assert_eq!(ProblemCode::DriverPending.status(), 403);
    }
}
