//! Consuming quotas on behalf of a request.
//!
//! The functions are asynchronous because nodes that share their quotas will have to be asked.

use std::time::Instant;

use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::class::RateClass;
use super::status::QuotaStatus;
use super::subject::QuotaSubject;

/// Consumes one of a quota; `None` where limits are switched off.
///
/// # Errors
/// 429 with the time to wait.
pub(in crate::http) async fn consume(
    app: &AppState,
    class: RateClass,
    subject: QuotaSubject,
) -> Result<Option<QuotaStatus>, ApiError> {
    match try_consume(app, class, subject).await {
        Some(status) if status.is_refused() => Err(refusal(app, status)),
        status => Ok(status),
    }
}

/// As [`consume`], for callers that try something else before they refuse: see [`refusal`].
pub(in crate::http) async fn try_consume(
    app: &AppState,
    class: RateClass,
    subject: QuotaSubject,
) -> Option<QuotaStatus> {
    app.limits.as_ref().map(|limits| limits.consume(class, subject, Instant::now()))
}

/// The refusal that [`consume`] would meet now, or `None`. Consumes nothing.
pub(in crate::http) async fn check(
    app: &AppState,
    class: RateClass,
    subject: QuotaSubject,
) -> Option<QuotaStatus> {
    app.limits.as_ref()?.check(class, subject, Instant::now())
}

/// Gives back what a request consumed that turned out to be free.
pub(in crate::http) async fn refund(app: &AppState, consumed: Option<&QuotaStatus>) {
    if let (Some(limits), Some(consumed)) = (&app.limits, consumed) {
        limits.refund(consumed);
    }
}

/// 429 with the time to wait; it is counted as a security event.
pub(in crate::http) fn refusal(app: &AppState, status: QuotaStatus) -> ApiError {
    app.metrics.security_events_total.with_label_values(&["rate_limited"]).inc();
    let wait = status.wait().unwrap_or_default();
    let error =
        ApiError::new(ProblemCode::TooManyRequests, "Wait as long as Retry-After says.").retry_after(wait);
    status.fields().into_iter().fold(error, |error, (name, value)| error.with_header(name, value))
}
