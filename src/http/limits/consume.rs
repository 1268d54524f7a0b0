//! Consuming quotas on behalf of a request.

use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::class::RateClass;
use super::quotas::Strictness;
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
    consume_strictly(app, class, subject, Strictness::Lenient).await
}

/// As [`consume`], where it is known how strict a node is by itself. Sign-ins always are.
pub(in crate::http) async fn consume_strictly(
    app: &AppState,
    class: RateClass,
    subject: QuotaSubject,
    strictness: Strictness,
) -> Result<Option<QuotaStatus>, ApiError> {
    let Some(limits) = &app.limits else { return Ok(None) };
    let strictness = if class == RateClass::Auth { Strictness::Strict } else { strictness };
    let status = limits.consume(class, subject, strictness).await;
    if status.is_refused() { Err(refusal(app, status)) } else { Ok(Some(status)) }
}

/// As [`consume`], for callers that try something else before they refuse: see [`refusal`].
pub(in crate::http) async fn try_consume(
    app: &AppState,
    class: RateClass,
    subject: QuotaSubject,
) -> Option<QuotaStatus> {
    Some(app.limits.as_ref()?.consume(class, subject, Strictness::Lenient).await)
}

/// The refusal that [`consume`] would meet now, as far as this node knows, or `None`. Consumes nothing.
pub(in crate::http) fn check(app: &AppState, class: RateClass, subject: QuotaSubject) -> Option<QuotaStatus> {
    app.limits.as_ref()?.check(class, subject)
}

/// Gives back what a request consumed that turned out to be free.
pub(in crate::http) fn refund(app: &AppState, consumed: Option<&QuotaStatus>) {
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
