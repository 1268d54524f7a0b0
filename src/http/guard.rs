//! What stands before every route: limits by class, what only operators may see, the count of denials, and what of
//! an answer is worth compressing.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, X_FORWARDED_FOR};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _, web};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::domain::ids::UserId;
use crate::domain::quota::{Decision, Quota};
use crate::domain::time::Timestamp;

use super::identity::{self, Audience as _, Orderers};
use super::limits::{Buckets, Class, RATE_LIMIT, Subject};
use super::observe::ForOperators;
use super::problem::ApiError;
use super::shedding::Shed;
use super::state::{Api, Deployment};

/// Smaller bodies would grow or hardly shrink.
const WORTH_COMPRESSING: u64 = 1024;

/// Denials in a minute by one user or address beyond which they count as a burst: more than a person clicks.
const DENIALS_A_MINUTE: u32 = 20;

/// Users and addresses whose denials are counted at once.
const DENIED_SUBJECTS: usize = 10_000;

/// So much of a refused request's body is read and dropped, more than any order has.
const SWALLOWED: usize = 64 * 1024;

/// How long the body of a refused request may take to arrive.
const SWALLOWED_WITHIN: Duration = Duration::from_secs(1);

/// The client's address, for whoever handles the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// Whose public quota a request spends.
pub(super) fn client_of(request: &HttpRequest) -> Subject {
    let known = request.extensions().get::<ClientAddress>().map(|client| client.0);
    Subject::address(known.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// Denials of late, for telling bursts of them.
#[derive(Debug)]
pub(super) struct Denials(Mutex<Buckets<Subject>>);

impl Default for Denials {
    fn default() -> Self {
        Self(Mutex::new(Buckets::new(DENIED_SUBJECTS)))
    }
}

impl Api {
    /// Counts that somebody was denied something, and whether it was one time too many.
    pub(super) fn denied(&self, subject: Subject) {
        let quota = Quota::new(DENIALS_A_MINUTE, Duration::from_secs(60), DENIALS_A_MINUTE);
        let mut denials = self.denials.0.lock().unwrap_or_else(PoisonError::into_inner);
        let events = &self.metrics.security_events_total;
        events.with_label_values(&["access_denied"]).inc();
        if let Decision::Refused { .. } = denials.spend(subject, quota, Timestamp::now()) {
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
        let from_here = client.is_loopback() && !headers.contains_key(X_FORWARDED_FOR);
        self.deployment != Deployment::Production
            || from_here
            || self.trusted_proxies.iter().any(|network| network.contains(client))
    }
}

/// Who asks, as far as quotas care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// Nobody that is known.
    Unknown,
    /// Somebody signed in, or the holder of a ticket.
    Known(Subject),
    /// Somebody signed in whose role may place orders.
    Orderer(Subject),
}

/// Which quota a request spends before it is handled; `None` for those that spend theirs where it is known, and for
/// what supervisors ask.
fn class_of(method: &Method, path: &str, asking: Asking, client: Subject) -> Option<(Class, Subject)> {
    match (path, asking) {
        ("/api/v1/auth/signup" | "/api/v1/auth/login", _) => Some((Class::Auth, client)),
        ("/api/v1/auth/refresh", _) if method == Method::POST => None,
        ("/metrics" | "/health", _) => None,
        (path, _) if path.starts_with("/health/") => None,
        (path, Asking::Orderer(_)) if is_new_order(method, path) => None,
        (_, Asking::Known(user) | Asking::Orderer(user)) => Some((Class::Api, user)),
        (_, Asking::Unknown) => Some((Class::Public, client)),
    }
}

/// Whose one-time ticket opens a stream, so that a shop behind one address is not limited as one client. Whether the
/// ticket was used before is found where it is redeemed.
fn ticket_holder(request: &HttpRequest, api: &Api) -> Option<UserId> {
    #[derive(Deserialize)]
    struct Ticket {
        ticket: String,
    }
    let query = web::Query::<Ticket>::from_query(request.query_string()).ok()?;
    api.tokens.verify_ticket(&query.ticket, Timestamp::now()).ok().map(|claims| claims.principal.user)
}

/// Answers in the place of a route. The body is read all the same: with one left unread the connection is closed, and to
/// make a new one costs both sides more than all the rest of a refusal.
async fn refuse(mut request: ServiceRequest, error: ApiError) -> ServiceResponse<BoxBody> {
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
    let client = client_of(request.request());
    // As the router reads it: what is percent-encoded by choice leads to the same route.
    let path = request.match_info().as_str().to_owned();
    // Before anything is done for it: most of what a refusal costs is found out for nothing.
    if is_new_order(request.method(), &path)
        && let Err(overloaded) = api.persistence.takes_new_work()
    {
        let mut response = refuse(request, overloaded.into()).await;
        response.response_mut().extensions_mut().insert(Shed);
        return Ok(response);
    }
    let shown = identity::shown(request.request(), &api);
    let claims = shown.as_ref().and_then(|shown| shown.as_ref().ok());
    if let Some(claims) = claims {
        api.activity.seen(claims.principal.session, Timestamp::now());
    }
    let user = claims
        .map(|claims| claims.principal.user)
        .or_else(|| ticket_holder(request.request(), &api))
        .map(Subject::User);
    let asking = match (user, claims) {
        (Some(user), Some(claims)) if Orderers::ROLES.contains(&claims.principal.role) => {
            Asking::Orderer(user)
        }
        (Some(user), _) => Asking::Known(user),
        (None, _) => Asking::Unknown,
    };
    // What is hidden spends what a path that is none of ours spends, or it could be told from one.
    let hidden = api.hides(&path, &request);
    let spent = match class_of(request.method(), if hidden { "" } else { &path }, asking, client) {
        None => None,
        Some((class, subject)) => match api.spend(class, subject).await {
            Ok(spent) => spent,
            Err(error) => return Ok(refuse(request, error).await),
        },
    };
    let mut response = if hidden {
        request.into_response(ApiError::not_found().error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        api.denied(user.unwrap_or(client));
    }
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
    use crate::domain::ids::UserId;

    #[test]
    fn each_route_spends_one_quota_of_the_user_or_else_of_the_address() {
        let user = Subject::User(UserId::generate());
        let client = Subject::address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let spends = |method, path, asking| class_of(&method, path, asking, client);
        for asking in [Asking::Unknown, Asking::Known(user), Asking::Orderer(user)] {
            let login = spends(Method::POST, "/api/v1/auth/login", asking);
            assert_eq!(login, Some((Class::Auth, client)), "also of those signed in");
            assert_eq!(spends(Method::POST, "/api/v1/auth/refresh", asking), None, "spent by the family");
            assert!(spends(Method::PUT, "/api/v1/auth/refresh", asking).is_some(), "no such route");
            assert_eq!(spends(Method::GET, "/health/live", asking), None);
        }
        let order = |asking| spends(Method::POST, "/api/v1/orders", asking);
        assert_eq!(order(Asking::Orderer(user)), None, "spent where replays are known");
        assert_eq!(order(Asking::Known(user)), Some((Class::Api, user)), "it will be refused");
        assert_eq!(order(Asking::Unknown), Some((Class::Public, client)));
        assert_eq!(spends(Method::GET, "/api/v1/orders", Asking::Orderer(user)), Some((Class::Api, user)));
        assert_eq!(spends(Method::GET, "/docs/", Asking::Unknown), Some((Class::Public, client)));
    }
}
