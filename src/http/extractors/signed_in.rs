//! The signed-in caller: a checked bearer token whose role may use the route.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::auth::token::AccessClaims;
use crate::domain::access::{Principal, Role};
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::audience::{Anyone, Audience};
use super::credentials::access_claims;

/// A caller with a valid token whose login session was not ended and whose role may use the route: 401 without the first
/// two, 403 without the last. Put it before other extractors, so that its answer wins.
#[derive(Debug)]
pub struct SignedIn<A = Anyone> {
    /// The user, with role and login session.
    pub principal: Principal,
    /// The content of the token.
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
pub(in crate::http) fn signed_in<A: Audience>(request: &HttpRequest) -> Result<SignedIn<A>, ApiError> {
    let app = AppState::of(request);
    let claims = checked_token(request, app).ok_or_else(|| {
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

/// As [`SignedIn`], with an account that is approved: 403 `driver_pending` for a driver who waits for an operator. Every route for drivers
/// takes this, and what else it reads from the request inside of it, so that this answer wins; an upgrade of a socket for
/// drivers calls [`authorization::check_approval`].
#[derive(Debug)]
pub struct Approved<A, T = ()> {
    /// The caller.
    pub principal: Principal,
    /// What was read after that.
    pub rest: T,
    audience: PhantomData<A>,
}

impl<A: Audience + 'static, T: FromRequest + 'static> FromRequest for Approved<A, T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let who: Result<SignedIn<A>, ApiError> = signed_in(request);
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let principal = who?.principal;
            let app = AppState::of(&request);
            authorization::check_approval(app, principal).await?;
            if principal.role == Role::Driver {
                app.drivers.alive(principal.user);
            }
            let rest = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { principal, rest, audience: PhantomData })
        })
    }
}

/// The result of checking the bearer token, kept with the request so that it is checked once.
#[derive(Clone)]
struct CheckedToken(Option<Result<AccessClaims, ApiError>>);

/// The content of the request's bearer token, or why it is not valid; `None` without one.
pub(in crate::http) fn checked_token(
    request: &HttpRequest,
    app: &AppState,
) -> Option<Result<AccessClaims, ApiError>> {
    if let Some(known) = request.extensions().get::<CheckedToken>() {
        return known.0.clone();
    }
    let checked = bearer(request).map(|token| access_claims(app, token, Timestamp::now()));
    request.extensions_mut().insert(CheckedToken(checked.clone()));
    checked
}

/// The token of the `Authorization` header, if that is given once and its scheme is `Bearer`.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}
