//! What stands before every route: limits by class, what only operators may see, the count of denials, and what of
//! an answer is worth compressing.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _, web};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::domain::access::Principal;
use crate::domain::address::AddressBlock;
use crate::domain::quota::{Decision, Window};
use crate::domain::time::Timestamp;

use super::client;
use super::connection::awaits_continue;
use super::identity::{self, Audience as _, Orderers};
use super::limits::{Class, Key, RATE_LIMIT, Rate, Spent, Subject, rate_of};
use super::observe::ForOperators;
use super::problem::ApiError;
use super::rooms::LAST_EVENT_ID;
use super::shedding::Shed;
use super::state::{Api, Deployment};
use crate::domain::quota::table::{Bounds, Table};

/// Smaller bodies would grow or hardly shrink.
const WORTH_COMPRESSING: u64 = 1024;

/// Denials in a minute by one user or address beyond which they count as a burst: more than a person clicks.
const DENIALS_A_MINUTE: u32 = 20;

/// Users and addresses whose denials are counted at once, 2.5 MiB at most.
const DENIED: Bounds = Bounds { subjects: 14_336, slots: 131_072 };

/// The body of a refused request is read and dropped up to this size, more than nearly any order has.
const SWALLOWED: usize = 16 * 1024;

/// How long the body of a refused request may take to arrive.
const SWALLOWED_WITHIN: Duration = Duration::from_secs(1);

/// The client's address, for whoever handles the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// Where a request comes from, as far as limits care.
pub(super) fn block_of(request: &HttpRequest) -> AddressBlock {
    let known = request.extensions().get::<ClientAddress>().map(|client| client.0);
    AddressBlock::of(known.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// Denials of late, for telling bursts of them.
#[derive(Debug)]
pub(super) struct Denials {
    began: Instant,
    table: Mutex<Table<Key>>,
}

impl Default for Denials {
    fn default() -> Self {
        let quota = Window::new(DENIALS_A_MINUTE, Duration::from_secs(60)).into();
        Self { began: Instant::now(), table: Mutex::new(Table::new(quota, DENIED)) }
    }
}

impl Api {
    /// Counts that somebody was denied something, and whether it was one time too many.
    pub(super) fn denied(&self, subject: Subject) {
        let events = &self.metrics.security_events_total;
        events.with_label_values(&["access_denied"]).inc();
        let mut denials = self.denials.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Decision::Refused { .. }, _) = denials.spend(subject.owner(), self.denials.began.elapsed()) {
            events.with_label_values(&["access_denied_burst"]).inc();
        }
    }

    /// Whether a request is answered as though there were no such route, whoever asks.
    fn hides(&self, path: &str, request: &ServiceRequest) -> bool {
        if !is_for_operators(path) || request.app_data::<ForOperators>().is_some() {
            return false;
        }
        if self.settings.ops.address().is_some() {
            return true;
        }
        let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
        is_told_unasked(path) && !client.is_some_and(|client| self.is_inside(client, request.headers()))
    }

    /// Whether a client may see what is told without a sign-in.
    fn is_inside(&self, client: IpAddr, headers: &HeaderMap) -> bool {
        // A proxy on this machine that is not trusted speaks for the whole world.
        let from_here = client.is_loopback() && !client::is_forwarded(headers);
        self.deployment != Deployment::Production
            || from_here
            || client::is_trusted(client, &self.ops_networks)
    }
}

/// Who asks, as far as quotas care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// Nobody that is known.
    Unknown,
    /// Somebody signed in, or the holder of a ticket.
    Known(Principal),
    /// Somebody signed in whose role may place orders.
    Orderer(Principal),
}

/// What was consumed before the body of a refresh was read, for whoever reads it to give back.
#[derive(Clone, Debug)]
pub(super) struct BeforeBody(pub(super) Option<Spent>);

/// Which quota a request spends before it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// This one.
    Now(Class, Subject),
    /// This one, and the handler gives it back where another turns out to be due.
    Deposit(Class, Subject),
    /// The handler spends an order, or a request for a repetition; refused here is who has nothing left for either.
    Order(Principal),
}

fn due(method: &Method, path: &str, asking: Asking, client: Subject) -> Due {
    let caller = match asking {
        Asking::Known(who) | Asking::Orderer(who) => Due::Now(Class::Api, who.into()),
        Asking::Unknown => Due::Now(Class::Public, client),
    };
    match (rate_of(method, path), asking) {
        (Rate::Auth, _) => Due::Now(Class::Auth, client),
        (Rate::Health, _) => Due::Now(Class::Health, client),
        (Rate::Refresh, _) => Due::Deposit(Class::Public, client),
        (Rate::Order, Asking::Orderer(who)) => Due::Order(who),
        (Rate::Move, Asking::Known(who) | Asking::Orderer(who)) => Due::Now(Class::Moves, who.into()),
        (Rate::Move | Rate::Order | Rate::Caller, _) => caller,
    }
}

impl Api {
    /// Spends what is due before a request is handled.
    async fn charge(&self, request: &ServiceRequest, due: Due) -> Result<Option<Spent>, ApiError> {
        match due {
            Due::Now(class, subject) => self.spend(class, subject).await,
            Due::Deposit(class, subject) => {
                let deposit = self.spend(class, subject).await?;
                request.extensions_mut().insert(BeforeBody(deposit));
                Ok(None)
            }
            Due::Order(who) => {
                let order = self.check_quota(Class::Orders, Subject::User(who.user)).await;
                match order {
                    Some(refused) if self.check_quota(Class::Api, who.into()).await.is_some() => {
                        Err(self.refusal(refused))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}

/// Whose one-time ticket opens a stream, so that a shop behind one address is not limited as one client. Whether the
/// ticket was used before, and may be used again by a stream that comes back, is found where it is redeemed.
fn ticket_holder(request: &HttpRequest, api: &Api) -> Option<Principal> {
    #[derive(Deserialize)]
    struct Ticket {
        ticket: String,
    }
    let query = web::Query::<Ticket>::from_query(request.query_string()).ok()?;
    let now = Timestamp::now();
    let claims = if request.headers().contains_key(LAST_EVENT_ID) {
        api.tokens.verify_old_ticket(&query.ticket, now)
    } else {
        api.tokens.verify_ticket(&query.ticket, now)
    };
    claims.ok().map(|claims| claims.principal)
}

/// Answers in the place of a route. The body is read all the same: with one left unread the connection is closed, and to
/// make a new one costs both sides more than all the rest of a refusal.
async fn refuse(mut request: ServiceRequest, error: ApiError) -> ServiceResponse<BoxBody> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let is_large = declared.is_some_and(|length: usize| length > SWALLOWED)
        || request.headers().contains_key(TRANSFER_ENCODING);
    if is_large || awaits_continue(request.request()) {
        return request.into_response(error.error_response());
    }
    let mut payload = request.take_payload();
    let swallow = async {
        let mut left = SWALLOWED;
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever takes longer, or sends more, is cut off.
    let _ = tokio::time::timeout(SWALLOWED_WITHIN, swallow).await;
    request.into_response(error.error_response())
}

fn is_new_order(method: &Method, path: &str) -> bool {
    method == Method::POST && path == "/api/v1/orders"
}

/// What moves to the operators' own listener, where there is one.
pub(super) fn is_for_operators(path: &str) -> bool {
    is_told_unasked(path) || path == "/api/v1/admin" || path.starts_with("/api/v1/admin/")
}

/// What is for operators and asks nobody who they are.
fn is_told_unasked(path: &str) -> bool {
    matches!(path, "/metrics" | "/health/metrics" | "/health/detailed")
}

/// The innermost layer.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let api = request
        .app_data::<web::Data<Api>>()
        .expect("the routes are mounted together with their state")
        .clone();
    // Inside of CORS, so that a page can read why it was refused.
    if request.app_data::<ForOperators>().is_none()
        && let Err(misdirected) = api.check_host(request.request().head())
    {
        return Ok(refuse(request, misdirected).await);
    }
    let client = Subject::Address(block_of(request.request()));
    // As the router reads it: what is percent-encoded by choice leads to the same route.
    let path = request.match_info().as_str().to_owned();
    // Before anything is done for it: most of what a refusal costs is found out for nothing.
    if is_new_order(request.method(), &path)
        && let Err(overloaded) = api.persistence.takes_new_work()
    {
        api.metrics.order_creation_errors_total.inc();
        let mut response = refuse(request, overloaded.into()).await;
        response.response_mut().extensions_mut().insert(Shed);
        return Ok(response);
    }
    let shown = identity::shown(request.request(), &api);
    let claims = shown.as_ref().and_then(|shown| shown.as_ref().ok());
    if let Some(claims) = claims {
        api.activity.used(claims, Timestamp::now());
    }
    let who = claims.map(|claims| claims.principal).or_else(|| ticket_holder(request.request(), &api));
    let asking = match (who, claims) {
        (Some(who), Some(_)) if Orderers::ROLES.contains(&who.role) => Asking::Orderer(who),
        (Some(who), _) => Asking::Known(who),
        (None, _) => Asking::Unknown,
    };
    // What is hidden spends what a path that is none of ours spends, or it could be told from one.
    let hidden = api.hides(&path, &request);
    let due = due(request.method(), if hidden { "" } else { &path }, asking, client);
    let spent = match api.charge(&request, due).await {
        Ok(spent) => spent,
        Err(error) => return Ok(refuse(request, error).await),
    };
    let mut response = if hidden {
        request.into_response(ApiError::not_found().error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        api.denied(who.map_or(client, Subject::from));
    }
    // A deposit that nobody gave back was the price.
    let deposit = || response.request().extensions_mut().remove::<BeforeBody>().and_then(|deposit| deposit.0);
    let spent = spent.or_else(deposit);
    if let Some(spent) = spent.filter(|_| !response.headers().contains_key(RATE_LIMIT)) {
        spent.tell(response.headers_mut());
    }
    if !is_worth_compressing(&response) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(response)
}

/// Refusals get their bodies after this, streams have to flow, and what is small stays as it is.
fn is_worth_compressing(response: &ServiceResponse<BoxBody>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let small =
        matches!(response.response().body().size(), BodySize::None | BodySize::Sized(..WORTH_COMPRESSING));
    let refused = response.status().is_client_error() || response.status().is_server_error();
    !(small || refused || kind.starts_with("text/event-stream"))
        || response.headers().contains_key(CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_spends_one_quota_of_the_sign_in_or_else_of_the_address() {
        use crate::domain::access::Role;
        use crate::domain::ids::{SessionId, UserId};
        let who =
            Principal { user: UserId::generate(), session: SessionId::generate(), role: Role::Customer };
        let client = Subject::Address(AddressBlock::of(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let spends = |method, path, asking| due(&method, path, asking, client);
        let (api, public) = (Due::Now(Class::Api, who.into()), Due::Now(Class::Public, client));
        for asking in [Asking::Unknown, Asking::Known(who), Asking::Orderer(who)] {
            let login = spends(Method::POST, "/api/v1/auth/login", asking);
            assert_eq!(login, Due::Now(Class::Auth, client), "also of those signed in");
            let refresh = spends(Method::POST, "/api/v1/auth/refresh", asking);
            assert_eq!(refresh, Due::Deposit(Class::Public, client), "the family pays once it is known");
            assert_eq!(spends(Method::GET, "/health/live", asking), Due::Now(Class::Health, client));
        }
        let order = |asking| spends(Method::POST, "/api/v1/orders", asking);
        assert_eq!(order(Asking::Orderer(who)), Due::Order(who), "spent where replays are known");
        assert_eq!(order(Asking::Known(who)), api, "it will be refused");
        assert_eq!(order(Asking::Unknown), public);
        let accept = |asking| spends(Method::PATCH, "/api/v1/orders/ord_1/status", asking);
        assert_eq!(accept(Asking::Orderer(who)), Due::Now(Class::Moves, who.into()));
        assert_eq!(accept(Asking::Unknown), public);
        assert_eq!(spends(Method::GET, "/api/v1/orders", Asking::Orderer(who)), api);
        assert_eq!(spends(Method::GET, "/health/elsewhere", Asking::Unknown), public);
        assert_eq!(spends(Method::GET, "/docs/", Asking::Unknown), public);
    }
}
