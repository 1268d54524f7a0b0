//! The host names under which the hub answers.

use std::time::Instant;

use actix_http::RequestHead;

use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::origin::printable;
use super::requested_host::{Authority, RequestedHost};

/// Refuses a request for a host that is not in `server.trusted_hosts`.
///
/// # Errors
/// 421, which names the host and the setting.
pub(in crate::http) fn check_host(app: &AppState, head: &RequestHead) -> Result<(), ApiError> {
    let trusted = &app.settings.server.trusted_hosts;
    if trusted.is_empty() {
        return Ok(());
    }
    let asked = RequestedHost::of(head, &app.trusted_proxies).authority;
    if asked.is_some_and(|asked| trusted.contains(&Authority::of(asked).host())) {
        return Ok(());
    }
    let host = printable(asked.unwrap_or_default());
    if let Some((refused, _)) = app.refused_hosts.count(Instant::now()) {
        tracing::warn!(host, refused, "requests were refused: their host is not in server.trusted_hosts");
    }
    let detail = format!(
        "The host asked for, {host}, is none of server.trusted_hosts. Ask by one of those, or name it there; a proxy in \
         between has to pass the host on (nginx: proxy_set_header Host $http_host)."
    );
    Err(ApiError::new(ProblemCode::Misdirected, detail))
}
