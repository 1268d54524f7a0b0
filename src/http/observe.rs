//! What happens around every request: its id, its line in the log, its metrics, and the form of its refusal.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, AcceptEncoding, Encoding, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use tracing::Instrument;
use uuid::Uuid;

use crate::protocol::problem::{Problem, ProblemCode};

use super::guard::ClientAddress;
use super::head::own_headers;
use super::problem::{PROBLEM_JSON, to_body};
use super::shedding::Shed;
use super::state::Api;
use super::{client, protection};

/// Carries the request id in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id taken from a client.
const MAX_REQUEST_ID: usize = 64;

/// From here on a request is logged as slow (requirement 10.3).
const SLOW: Duration = Duration::from_secs(1);

/// The endpoint label of requests that no route matched.
const UNMATCHED: &str = "unmatched";

/// Marks the application of the operators' own listener, which Prometheus asks by address and not by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForOperators;
/// Put on an answer: how long the request waited because its client asked it to. No measure of the hub.
#[derive(Clone, Copy, Debug)]
pub struct Waited(pub Duration);

/// Names a request in logs and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The client's own id if it is 1 to 64 visible ASCII characters, else a new one.
    pub fn of(headers: &header::HeaderMap) -> Self {
        let sane = |text: &&str| {
            (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
        Self(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a request id is visible ASCII")
    }
}

/// The outermost layer. Counts, times and logs each request, gives every refusal its problem body and request id,
/// takes a trailing slash off and answers HEAD as GET without a body. What is shed is counted in the log, see
/// [`super::shedding`].
pub async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let api = request
        .app_data::<web::Data<Api>>()
        .expect("the routes are mounted together with their state")
        .clone();
    own_headers(request.headers_mut());
    let id = RequestId::of(request.headers());
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let client = client::address(peer, request.headers(), &api.trusted_proxies);
    let method = request.method().clone();
    // The path as it came and without its query, where tickets and tokens can stand.
    let path = request.path().to_owned();
    trim_slash(&mut request);
    if method == Method::HEAD {
        // The connection's codec remembers HEAD and sends no body.
        request.head_mut().method = Method::GET;
    }
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(ClientAddress(client));
    take_any_encoding(&mut request);
    let span = tracing::info_span!("request", request_id = id.as_str(), trace_id = tracing::field::Empty);
    if let Some(trace) = trace_id(request.headers()) {
        span.record("trace_id", trace);
    }
    let response = next.call(request).instrument(span.clone()).await?.map_into_boxed_body();
    let mut response = with_problem(response, &id);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header());
    protection::fields(api.deployment, &path).for_each(|(name, value)| drop(headers.insert(name, value)));
    // What kept an answer from being compressed on its way here is of no use to the client.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }

    if method == Method::HEAD && response.response().body().size() == BodySize::Stream {
        // Nobody would ever read it to its end.
        response = response.map_body(|_, _| BoxBody::new(()));
    }
    let waited = response.response().extensions().get().map_or(Duration::ZERO, |Waited(time)| *time);
    let elapsed = started.elapsed().saturating_sub(waited);
    let status = response.status();
    let endpoint = endpoint(response.request().match_pattern());
    let verb = known_method(&method);
    api.metrics.http_requests_total.with_label_values(&[verb, &endpoint, status.as_str()]).inc();
    api.metrics
        .http_request_duration_seconds
        .with_label_values(&[verb, &endpoint])
        .observe(elapsed.as_secs_f64());
    let shed = response.response().extensions().get::<Shed>().is_some();
    if let Some((requests, time)) = shed.then(|| api.shedding.count(Instant::now())).flatten() {
        let within_s = time.as_secs_f64();
        tracing::warn!(requests, within_s, "too much to do: new orders were refused");
    }
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
    Ok(response)
}

/// The label of a route: its pattern, for a folder of files its address.
fn endpoint(pattern: Option<String>) -> String {
    let Some(mut pattern) = pattern else { return UNMATCHED.to_owned() };
    if let Some(rest) = pattern.find("/{_:") {
        pattern.truncate(rest);
    }
    pattern
}

/// Milliseconds with the microseconds as decimals, and no more.
fn in_millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The trace a request is part of, as `traceparent` names it (W3C Trace Context §3.2); `None` for a field that is not one.
fn trace_id(headers: &header::HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let sound = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Later versions may say more; this one says no more.
    let whole = version != "ff" && (version != "00" || parts.next().is_none());
    (sound && whole && !zero(trace) && !zero(parent)).then_some(trace)
}

/// Label values are few: a method nobody knows is not one of them.
pub(super) fn known_method(method: &Method) -> &'static str {
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

/// Who accepts no encoding that there is gets the plain one (RFC 9110 §12.5.3 allows it) and not a 406 before anything
/// was counted.
fn take_any_encoding(request: &mut ServiceRequest) {
    let wanted = request.get_header::<AcceptEncoding>();
    if wanted
        .is_some_and(|wanted| wanted.negotiate([Encoding::gzip(), Encoding::identity()].iter()).is_none())
    {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
}

/// `/orders/` is `/orders`. Only the documentation is a folder.
fn trim_slash(request: &mut ServiceRequest) {
    let path = request.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() || trimmed == "/docs" {
        return;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    let Ok(target) = PathAndQuery::try_from(target) else { return };
    parts.path_and_query = Some(target);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Gives a refusal its body: ours get their request id, the framework's own become problems.
fn with_problem(mut response: ServiceResponse<BoxBody>, id: &RequestId) -> ServiceResponse<BoxBody> {
    let ours = response.response_mut().extensions_mut().remove::<Problem>();
    let problem = match ours {
        Some(problem) => problem,
        None if is_bare_refusal(response.response()) => {
            Problem::new(code_for(response.status()), "The request could not be answered.")
        }
        None => return response,
    };
    let body = to_body(&Problem { request_id: id.0.clone(), ..problem });
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

fn is_bare_refusal(response: &HttpResponse) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    (response.status().is_client_error() || response.status().is_server_error())
        && !kind.is_some_and(|kind| kind.contains("json"))
}

fn code_for(status: StatusCode) -> ProblemCode {
    match status {
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        status if status.is_client_error() => ProblemCode::Malformed,
        _ => ProblemCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        let id = |given: &[u8]| {
            let mut headers = header::HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
            RequestId::of(&headers).0
        };
        assert_eq!(id(b"abc-123"), "abc-123");
        for bad in [&b""[..], b"two words", b"\xff", &[b'x'; 65]] {
            assert_eq!(id(bad).len(), 36, "{bad:?}");
        }
    }

    #[test]
    fn a_trace_is_named_by_a_sound_traceparent_only() {
        let trace = |given: &str| {
            let mut headers = header::HeaderMap::new();
            headers.insert(HeaderName::from_static("traceparent"), HeaderValue::from_str(given).unwrap());
            trace_id(&headers).map(str::to_owned)
        };
        let (id, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert_eq!(trace(&format!("00-{id}-{parent}-01")).as_deref(), Some(id));
        assert_eq!(trace(&format!("01-{id}-{parent}-01-more")).as_deref(), Some(id));
        for bad in [
            String::new(),
            format!("00-{id}-{parent}"),
            format!("00-{id}-{parent}-01-more"),
            format!("ff-{id}-{parent}-01"),
            format!("00-{}-{parent}-01", id.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{}-{parent}-01", &id[1..]),
        ] {
            assert_eq!(trace(&bad), None, "{bad}");
        }
        assert_eq!(trace_id(&header::HeaderMap::new()), None);
    }

    #[test]
    fn a_trailing_slash_goes_and_the_query_stays() {
        let trimmed = |uri: &str| {
            let mut request = TestRequest::with_uri(uri).to_srv_request();
            trim_slash(&mut request);
            assert_eq!(request.uri().path(), request.path());
            request.uri().to_string()
        };
        assert_eq!(trimmed("/api/v1/orders/?q=a/"), "/api/v1/orders?q=a/");
        assert_eq!(trimmed("/health//"), "/health");
        for same in ["/", "/docs/", "/health", "/health?x=/"] {
            assert_eq!(trimmed(same), same);
        }
    }
}
