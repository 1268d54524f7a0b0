//! Refusals of connections that never become requests: problems like all others, counted, and logged at a bounded rate.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::http::header::HttpDate;
use uuid::Uuid;

use crate::http::deployment::Deployment;
use crate::http::middleware::origin::{is_allowed, origin_in};
use crate::http::middleware::security_headers;
use crate::http::response::problem::{PROBLEM_JSON, to_body};
use crate::protocol::problem::{Problem, ProblemCode};
use crate::telemetry::Metrics;

/// Shortest time between two warnings of one worker thread; each refusal is a line at `debug`.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The reason for which a connection was ended before any route was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The bytes are not a request.
    Malformed,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The head is larger than 32 KiB or has more than 96 fields.
    HeadTooLarge,
    /// The address has as many connections as it may.
    TooMany,
    /// The client read nothing of its answer for 30 s.
    WriteStalled,
    /// The client sent over 1 MiB behind a request that waits.
    TooFarAhead,
}

/// The label of the metric for each [`Reason`].
pub const REFUSALS: [&str; 6] = [
    Reason::Malformed.as_str(),
    Reason::HeadTimeout.as_str(),
    Reason::HeadTooLarge.as_str(),
    Reason::TooMany.as_str(),
    Reason::WriteStalled.as_str(),
    Reason::TooFarAhead.as_str(),
];

impl Reason {
    /// The label of the metric.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::TooMany => "too_many_connections",
            Self::WriteStalled => "write_stalled",
            Self::TooFarAhead => "too_far_ahead",
        }
    }

    const fn code(self) -> ProblemCode {
        match self {
            Self::Malformed | Self::WriteStalled | Self::TooFarAhead => ProblemCode::Malformed,
            Self::HeadTimeout => ProblemCode::RequestTimeout,
            Self::HeadTooLarge => ProblemCode::HeadTooLarge,
            Self::TooMany => ProblemCode::TooManyRequests,
        }
    }
}

/// A refusal with the detail that its client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    detail: &'static str,
}

impl Refused {
    pub(super) const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }
}

/// The refusals of one worker thread: their counts, log lines and answers.
#[derive(Debug)]
pub(super) struct Refusals {
    deployment: Deployment,
    allowed_origins: Arc<[String]>,
    metrics: Metrics,
    warned: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Refusals {
    pub(super) fn new(deployment: Deployment, allowed_origins: Arc<[String]>, metrics: Metrics) -> Self {
        Self { deployment, allowed_origins, metrics, warned: Cell::default(), unsaid: Cell::default() }
    }

    /// Counts a connection that is ended, and says so; `detail` is what its client is told.
    pub(super) fn count(&self, reason: Reason, detail: &str, request_id: &str) {
        self.metrics.http_connections_refused_total.with_label_values(&[reason.as_str()]).inc();
        tracing::debug!(reason = reason.as_str(), detail, request_id, "a connection was refused");
        self.unsaid.set(self.unsaid.get() + 1);
        if self.warned.get().is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned.set(Some(Instant::now()));
            let refused = self.unsaid.take();
            tracing::warn!(
                refused,
                last = reason.as_str(),
                detail,
                "connections were refused; debug has each"
            );
        }
    }

    /// A whole answer, after which the connection is closed. `head` is what was read of the request: a page of an allowed
    /// origin may read the answer.
    pub(super) fn answer(&self, refused: Refused, head: &[u8]) -> Vec<u8> {
        let request_id = Uuid::now_v7().to_string();
        self.count(refused.reason, refused.detail, &request_id);
        let problem = Problem { request_id, ..Problem::new(refused.reason.code(), refused.detail) };
        let status = actix_web::http::StatusCode::from_u16(problem.status);
        let phrase = status.ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let body = to_body(&problem);
        let mut answer = format!(
            "HTTP/1.1 {} {phrase}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nconnection: close\r\n\
             x-request-id: {}\r\ndate: {}\r\n",
            problem.status,
            body.len(),
            problem.request_id,
            HttpDate::from(SystemTime::now()),
        );
        if refused.reason == Reason::TooMany {
            answer.push_str("retry-after: 5\r\n");
        }
        let origin = if self.allowed_origins.is_empty() { None } else { origin_in(head) };
        if let Some(origin) = origin.filter(|origin| is_allowed(origin, &self.allowed_origins)) {
            let exposed = "access-control-expose-headers: x-request-id, retry-after";
            answer
                .push_str(&format!("access-control-allow-origin: {origin}\r\n{exposed}\r\nvary: Origin\r\n"));
        }
        for (name, value) in security_headers::fields(self.deployment, "") {
            answer.push_str(name.as_str());
            answer.push_str(": ");
            answer.push_str(value.to_str().unwrap_or_default());
            answer.push_str("\r\n");
        }
        answer.push_str("\r\n");
        answer.push_str(&body);
        answer.into_bytes()
    }
}
