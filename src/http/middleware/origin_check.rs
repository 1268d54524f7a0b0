//! Refusal of browser pages whose origin is not allowed, and the reason of it.

use std::time::Instant;

use actix_http::RequestHead;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _};

use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::origin::{is_allowed, is_same_origin, printable};
use super::requested_host::RequestedHost;

/// The methods that pages of other sites may use.
pub(in crate::http) const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];

/// Refuses browser pages that are neither this hub's own nor of an allowed origin. Programs send no `Origin`.
///
/// # Errors
/// 403, which names the origin, the host that was asked for and the setting.
pub(in crate::http) fn check_origin(app: &AppState, head: &RequestHead) -> Result<(), ApiError> {
    let Some(origin) = head.headers().get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let asked = RequestedHost::of(head, &app.trusted_proxies);
    if is_allowed(origin, &app.settings.server.allowed_origins) || is_same_origin(origin, &asked) {
        return Ok(());
    }
    Err(refuse_origin(app, origin, &asked))
}

fn refuse_origin(app: &AppState, origin: &str, asked: &RequestedHost<'_>) -> ApiError {
    app.metrics.security_events_total.with_label_values(&["origin_refused"]).inc();
    let (origin, host) = (printable(origin), printable(asked.authority.unwrap_or_default()));
    if let Some((refused, _)) = app.refused_origins.count(Instant::now()) {
        tracing::warn!(
            origin,
            host,
            refused,
            "pages were refused: their origin is neither this host nor in server.allowed_origins"
        );
    }
    let detail = if origin == "null" {
        "The page has no origin of its own (null: a file, or a frame in a sandbox), and anybody can make such a page. \
         Serve it by a scheme and host, and name those in server.allowed_origins."
            .to_owned()
    } else {
        format!(
            "The origin {origin} is neither this hub's own, which was asked for as {host}, nor in \
             server.allowed_origins. Name it there; or, if the page is this hub's own, let the proxy in between pass \
             the host on (nginx: proxy_set_header Host $http_host)."
        )
    };
    ApiError::new(ProblemCode::OriginRefused, detail)
}

/// Whether a browser asks what a page of another site may do.
fn is_preflight(request: &ServiceRequest) -> bool {
    let has = |name| request.headers().contains_key(name);
    request.method() == Method::OPTIONS && has(header::ORIGIN) && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// A layer outside of CORS, which only grants: says why a preflight is refused.
pub(in crate::http) async fn explain_refusals(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if is_preflight(&request) {
        let app = AppState::of(request.request()).clone();
        if let Err(error) = check_preflight(&app, &request) {
            return Ok(request.into_response(error.error_response()));
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

fn check_preflight(app: &AppState, request: &ServiceRequest) -> Result<(), ApiError> {
    check_origin(app, request.request().head())?;
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = wanted.and_then(|method| method.to_str().ok()).unwrap_or_default();
    if METHODS.iter().all(|method| method.as_str() != wanted) {
        let known = METHODS.map(|method| method.to_string()).join(", ");
        let detail = format!("Pages may use {known}, and not {}.", printable(wanted));
        return Err(ApiError::new(ProblemCode::MethodNotAllowed, detail));
    }
    Ok(())
}
