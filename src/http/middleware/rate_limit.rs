//! The innermost layer: the checks before every route, and the quota that a request consumes.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, ResponseError as _};

use crate::domain::access::Principal;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::{Audience as _, CanPlaceOrders};
use crate::http::extractors::signed_in::checked_token;
use crate::http::extractors::stream_caller::ticket_holder;
use crate::http::limits::consume::{check, consume, consume_strictly, refusal};
use crate::http::limits::{QuotaStatus, QuotaSubject, RATE_LIMIT, Rate, RateClass, Strictness};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Exposure, RouteTable};

use super::client_address::address_block;
use super::drain_body::refuse;
use super::exposure::{OpsListener, is_hidden};
use super::load_shedding::{Shed, check_load};
use super::trusted_hosts::check_host;

/// The caller, as far as quotas care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Neither a token nor a ticket that is valid.
    Unknown,
    /// Signed in, or the holder of a ticket.
    Known(Principal),
    /// Signed in with a role that may place orders.
    MayPlaceOrders(Principal),
}

/// The quota that stands on the answer unless another does: what was consumed before the body of a refresh was read, for the handler
/// to give back, or by the handler itself.
#[derive(Clone, Debug)]
pub(in crate::http) struct Deposit(pub(in crate::http) Option<QuotaStatus>);

/// The quota a request consumes before it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    /// This one.
    Now(RateClass, QuotaSubject),
    /// This one, and the handler gives it back where another turns out to be due.
    Deposit(RateClass, QuotaSubject),
    /// None: the handler consumes it, and the address pays for what is not genuine. Refused here is an address that has nothing left
    /// to pay with, and everybody while the hub has taken as many messages as it may.
    Webhook(QuotaSubject),
    /// None: the handler consumes an order, or a request for a repetition. Refused here is a caller who has nothing left
    /// of either.
    Order(Principal),
}

fn charge_of(rate: Rate, caller: Caller, client: QuotaSubject) -> Charge {
    let own = match caller {
        Caller::Known(who) | Caller::MayPlaceOrders(who) => Charge::Now(RateClass::Api, who.into()),
        Caller::Unknown => Charge::Now(RateClass::Public, client),
    };
    match (rate, caller) {
        (Rate::Auth, _) => Charge::Now(RateClass::Auth, client),
        (Rate::Health, _) => Charge::Now(RateClass::Health, client),
        (Rate::Webhook, _) => Charge::Webhook(client),
        (Rate::Refresh, _) => Charge::Deposit(RateClass::Public, client),
        (Rate::Order, Caller::MayPlaceOrders(who)) => Charge::Order(who),
        (Rate::Move, Caller::Known(who) | Caller::MayPlaceOrders(who)) => {
            Charge::Now(RateClass::Moves, who.into())
        }
        (Rate::Move | Rate::Order | Rate::Caller, _) => own,
    }
}

/// Operators' routes are worth most to somebody who tries tokens.
fn strictness_of(exposure: Exposure) -> Strictness {
    if exposure == Exposure::Operators { Strictness::Strict } else { Strictness::Lenient }
}

/// Consumes what is due before a request is handled.
async fn charge(
    app: &AppState,
    request: &ServiceRequest,
    charge: Charge,
    strictness: Strictness,
) -> Result<Option<QuotaStatus>, ApiError> {
    match charge {
        Charge::Now(class, subject) => consume_strictly(app, class, subject, strictness).await,
        Charge::Deposit(class, subject) => {
            let deposit = consume(app, class, subject).await?;
            request.extensions_mut().insert(Deposit(deposit));
            Ok(None)
        }
        Charge::Webhook(client) => {
            let spent = match check(app, RateClass::Public, client) {
                None => check(app, RateClass::Webhooks, QuotaSubject::Hub),
                spent => spent,
            };
            spent.map_or(Ok(None), |spent| Err(refusal(app, spent)))
        }
        Charge::Order(who) => {
            let order = check(app, RateClass::Orders, QuotaSubject::User(who.user));
            match order {
                Some(refused) if check(app, RateClass::Api, who.into()).is_some() => {
                    Err(refusal(app, refused))
                }
                _ => Ok(None),
            }
        }
    }
}

/// The facts of the route that a request is for.
#[derive(Clone, Copy)]
struct Target {
    rate: Rate,
    exposure: Exposure,
    sheds: bool,
    /// Whether only a trusted host name leads to it.
    has_trusted_host: bool,
}

impl Target {
    fn of(request: &ServiceRequest) -> Self {
        let table = request
            .app_data::<&'static RouteTable>()
            .expect("the routes are mounted together with their table");
        let is_main = request.app_data::<OpsListener>().is_none();
        let method = request.method();
        // As the router reads it: a path that is percent-encoded by choice leads to the same route.
        match table.find(request.match_info().as_str()) {
            Some(routes) => Self {
                rate: routes.rate(method),
                exposure: routes.exposure(),
                sheds: routes.by(method).is_some_and(|facts| facts.sheds),
                has_trusted_host: is_main && !routes.any_host(),
            },
            None => Self {
                rate: Rate::Caller,
                exposure: Exposure::Public,
                sheds: false,
                has_trusted_host: is_main,
            },
        }
    }
}

/// Refuses requests for hosts that are not trusted and callers without quota, sheds orders under overload, hides
/// operators' routes and counts denials.
pub(in crate::http) async fn limit_rate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = AppState::of(request.request()).clone();
    let target = Target::of(&request);
    // Inside of CORS, so that a page can read why it was refused.
    if target.has_trusted_host
        && let Err(misdirected) = check_host(&app, request.request().head())
    {
        return Ok(refuse(request, misdirected).await);
    }
    if target.sheds
        && let Err(overloaded) = check_load(&app)
    {
        let mut response = refuse(request, overloaded).await;
        response.response_mut().extensions_mut().insert(Shed);
        return Ok(response);
    }
    let client = QuotaSubject::Address(address_block(request.request()));
    let (who, caller) = identify(&app, &request);
    // Hidden routes cost the same quota as unknown ones; otherwise the quota would reveal them.
    let hidden = is_hidden(&app, target.exposure, &request);
    let due = charge_of(if hidden { Rate::Caller } else { target.rate }, caller, client);
    let status = match charge(&app, &request, due, strictness_of(target.exposure)).await {
        Ok(status) => status,
        Err(error) => return Ok(refuse(request, error).await),
    };
    let response = if hidden {
        request.into_response(ApiError::not_found().error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        app.denials.record(&app.metrics, who.map_or(client, QuotaSubject::from));
    }
    Ok(with_status(response, status))
}

/// The principal behind a request, by token or else by ticket, and what it is for quotas.
fn identify(app: &AppState, request: &ServiceRequest) -> (Option<Principal>, Caller) {
    let checked = checked_token(request.request(), app);
    let claims = checked.as_ref().and_then(|checked| checked.as_ref().ok());
    if let Some(claims) = claims {
        app.last_seen.record_use(claims, Timestamp::now());
    }
    let who = claims.map(|claims| claims.principal).or_else(|| ticket_holder(request.request(), app));
    let caller = match (who, claims) {
        (Some(who), Some(_)) if CanPlaceOrders::ROLES.contains(&who.role) => Caller::MayPlaceOrders(who),
        (Some(who), _) => Caller::Known(who),
        (None, _) => Caller::Unknown,
    };
    (who, caller)
}

/// Puts the header fields of a quota on an answer that has none yet. A deposit that nobody gave back was the price.
fn with_status(
    mut response: ServiceResponse<BoxBody>,
    status: Option<QuotaStatus>,
) -> ServiceResponse<BoxBody> {
    let deposit = || response.request().extensions_mut().remove::<Deposit>().and_then(|deposit| deposit.0);
    let status = status.or_else(deposit);
    if let Some(status) = status.filter(|_| !response.headers().contains_key(RATE_LIMIT)) {
        status.write_to(response.headers_mut());
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use crate::domain::access::Role;
    use crate::domain::address::AddressBlock;
    use crate::domain::ids::{LoginSessionId, UserId};

    use super::*;

    #[test]
    fn each_route_spends_one_quota_of_the_sign_in_or_else_of_the_address() {
        let who =
            Principal { user: UserId::generate(), session: LoginSessionId::generate(), role: Role::Customer };
        let client = QuotaSubject::Address(AddressBlock::of(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let spends = |rate, caller| charge_of(rate, caller, client);
        let (api, public) = (Charge::Now(RateClass::Api, who.into()), Charge::Now(RateClass::Public, client));
        for caller in [Caller::Unknown, Caller::Known(who), Caller::MayPlaceOrders(who)] {
            let login = spends(Rate::Auth, caller);
            assert_eq!(login, Charge::Now(RateClass::Auth, client), "also of those signed in");
            let refresh = spends(Rate::Refresh, caller);
            let deposit = Charge::Deposit(RateClass::Public, client);
            assert_eq!(refresh, deposit, "the family pays once it is known");
            assert_eq!(spends(Rate::Health, caller), Charge::Now(RateClass::Health, client));
            assert_eq!(spends(Rate::Webhook, caller), Charge::Webhook(client), "a token buys nothing");
        }
        let order = |caller| spends(Rate::Order, caller);
        assert_eq!(order(Caller::MayPlaceOrders(who)), Charge::Order(who), "spent where replays are known");
        assert_eq!(order(Caller::Known(who)), api, "it will be refused");
        assert_eq!(order(Caller::Unknown), public);
        let accept = |caller| spends(Rate::Move, caller);
        assert_eq!(accept(Caller::MayPlaceOrders(who)), Charge::Now(RateClass::Moves, who.into()));
        assert_eq!(accept(Caller::Unknown), public);
        assert_eq!(spends(Rate::Caller, Caller::MayPlaceOrders(who)), api);
        assert_eq!(spends(Rate::Caller, Caller::Unknown), public);
    }
}
