//! The state of a quota after a request, and the header fields that tell it.

use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::quota::{Decision, WindowKind};

use super::class::{QuotaScope, RateClass};
use super::subject::QuotaSubject;

/// Remaining requests (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The windows that are enforced (the same draft).
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The result of consuming from a quota, as the header fields tell it.
#[derive(Clone, Debug)]
pub struct QuotaStatus {
    pub(super) class: RateClass,
    pub(super) subject: QuotaSubject,
    pub(super) at: Instant,
    /// Redis' time at which it was consumed there, in milliseconds.
    pub(super) shared_at: Option<u64>,
    pub(super) decision: Decision,
    pub(super) scope: QuotaScope,
    pub(super) which: WindowKind,
    pub(super) policy: HeaderValue,
}

impl QuotaStatus {
    /// Puts `RateLimit` and `RateLimit-Policy` on an answer.
    pub fn write_to(self, headers: &mut HeaderMap) {
        for (name, value) in self.fields() {
            headers.insert(name, value);
        }
    }

    /// Whether there was nothing left.
    pub fn is_refused(&self) -> bool {
        matches!(self.decision, Decision::Refused { .. })
    }

    /// Time until the next request is admitted; `None` if this one was.
    pub fn wait(&self) -> Option<Duration> {
        match self.decision {
            Decision::Refused { wait } => Some(wait),
            Decision::Admitted { .. } => None,
        }
    }

    pub(super) fn fields(self) -> [(HeaderName, HeaderValue); 2] {
        let (left, until) = match self.decision {
            Decision::Admitted { remaining, reset } => (remaining, reset),
            Decision::Refused { wait } => (0, wait),
        };
        let (name, suffix) = (self.class.as_str(), self.class.suffix(self.scope, self.which));
        let seconds = until.as_millis().div_ceil(1000);
        let text = format!("\"{name}{suffix}\";r={left};t={seconds}");
        let limit = HeaderValue::from_str(&text).expect("words and digits are a header value");
        [(RATE_LIMIT, limit), (RATE_LIMIT_POLICY, self.policy)]
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::ids::UserId;

    use super::*;

    #[test]
    fn the_fields_name_the_window_what_is_left_and_what_there_is() {
        let status = |decision, scope, which| QuotaStatus {
            class: RateClass::Api,
            subject: QuotaSubject::User(UserId::generate()),
            at: Instant::now(),
            shared_at: None,
            decision,
            scope,
            which,
            policy: HeaderValue::from_static("a policy"),
        };
        let admitted = Decision::Admitted { remaining: 9, reset: Duration::from_millis(29_001) };
        let [left, policy] = status(admitted, QuotaScope::Own, WindowKind::Short).fields();
        assert_eq!(left.1, "\"api\";r=9;t=30");
        assert_eq!(policy.1, "a policy");
        let refused = Decision::Refused { wait: Duration::from_secs(7) };
        let [left, _] = status(refused, QuotaScope::Wide, WindowKind::Long).fields();
        assert_eq!(left.1, "\"api-user-long\";r=0;t=7");
    }
}
