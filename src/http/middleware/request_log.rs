//! The outermost layer: the id, log line, metrics and security headers of every request.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, AcceptEncoding, Encoding};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use tracing::{Instrument, Span};

use crate::http::app_state::AppState;

use super::client_address::{self, ClientAddress};
use super::header_memory::own_headers;
use super::load_shedding::Shed;
use super::problem_body::with_problem;
use super::request_id::{REQUEST_ID, RequestId, trace_id};
use super::request_path::trim_slash;
use super::security_headers;

/// Time from which a request is logged as slow.
const SLOW: Duration = Duration::from_secs(1);

/// The endpoint label of requests that no route matched.
const UNMATCHED: &str = "unmatched";

/// An answer's time of waiting that its client asked for. It is no measure of the hub.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Waited(pub(in crate::http) Duration);

/// The facts of a request that its log line and metrics name.
struct Seen {
    started: Instant,
    method: Method,
    /// As it came and without its query, in which tickets and tokens can stand.
    path: String,
    client: IpAddr,
}

/// Counts, times and logs each request, gives every refusal its problem body and request id, takes a trailing slash off
/// and answers HEAD as GET without a body. Shed requests are counted in one log line at most once a second.
pub(in crate::http) async fn log_request(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let app = AppState::of(request.request()).clone();
    own_headers(request.headers_mut());
    let id = RequestId::of(request.headers());
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let client = client_address::address(peer, request.headers(), &app.trusted_proxies);
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let seen = Seen { started, method, path, client };
    prepare(&mut request, &id, client);
    let span = tracing::info_span!("request", request_id = id.as_str(), trace_id = tracing::field::Empty);
    if let Some(trace) = trace_id(request.headers()) {
        span.record("trace_id", trace);
    }
    let response = next.call(request).instrument(span.clone()).await?.map_into_boxed_body();
    let response = complete(response, &app, &seen, &id);
    record(&app, &span, &seen, &response);
    Ok(response)
}

/// Brings a request into the form that routes expect.
fn prepare(request: &mut ServiceRequest, id: &RequestId, client: IpAddr) {
    trim_slash(request);
    if request.method() == Method::HEAD {
        // The connection's codec remembers HEAD and sends no body.
        request.head_mut().method = Method::GET;
    }
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(ClientAddress(client));
    accept_any_encoding(request);
}

/// Gives an answer its problem body and the header fields that all answers have.
fn complete(
    response: ServiceResponse<BoxBody>,
    app: &AppState,
    seen: &Seen,
    id: &RequestId,
) -> ServiceResponse<BoxBody> {
    let mut response = with_problem(response, id);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header());
    security_headers::fields(app.deployment, &seen.path)
        .for_each(|(name, value)| drop(headers.insert(name, value)));
    // The value that kept an answer from being compressed on its way here is of no use to the client.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
    if seen.method == Method::HEAD && response.response().body().size() == BodySize::Stream {
        // Nobody would ever read it to its end.
        response = response.map_body(|_, _| BoxBody::new(()));
    }
    response
}

/// Counts, times and logs an answered request.
fn record(app: &AppState, span: &Span, seen: &Seen, response: &ServiceResponse<BoxBody>) {
    let waited = response.response().extensions().get().map_or(Duration::ZERO, |Waited(time)| *time);
    let elapsed = seen.started.elapsed().saturating_sub(waited);
    let status = response.status();
    let endpoint = endpoint(response.request().match_pattern());
    let verb = known_method(&seen.method);
    app.metrics.http_requests_total.with_label_values(&[verb, &endpoint, status.as_str()]).inc();
    app.metrics
        .http_request_duration_seconds
        .with_label_values(&[verb, &endpoint])
        .observe(elapsed.as_secs_f64());
    let shed = response.response().extensions().get::<Shed>().is_some();
    if let Some((requests, time)) = shed.then(|| app.shed_requests.count(Instant::now())).flatten() {
        let within_s = time.as_secs_f64();
        tracing::warn!(requests, within_s, "overloaded: new orders were refused");
    }
    let Seen { method, path, client, .. } = seen;
    span.in_scope(|| {
        let (status, duration_ms) = (status.as_u16(), in_millis(elapsed));
        if shed {
            tracing::debug!(%method, path, status, duration_ms, %client, "request");
        } else if elapsed > SLOW {
            tracing::warn!(%method, path, status, duration_ms, %client, "slow request");
        } else {
            tracing::info!(%method, path, status, duration_ms, %client, "request");
        }
    });
}

/// The metric label of a route: its pattern, for a folder of files its address.
fn endpoint(pattern: Option<String>) -> String {
    let Some(mut pattern) = pattern else { return UNMATCHED.to_owned() };
    if let Some(rest) = pattern.find("/{_:") {
        pattern.truncate(rest);
    }
    pattern
}

/// Milliseconds, to the microsecond.
fn in_millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The metric label of a method. Label values are few: a method that is not known is not one of them.
pub(in crate::http) fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Answers in plain form a client that accepts none of the encodings there are (RFC 9110 §12.5.3 allows it), instead of
/// with a 406 before anything was counted.
fn accept_any_encoding(request: &mut ServiceRequest) {
    let wanted = request.get_header::<AcceptEncoding>();
    if wanted
        .is_some_and(|wanted| wanted.negotiate([Encoding::gzip(), Encoding::identity()].iter()).is_none())
    {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
}
