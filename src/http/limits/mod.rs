//! How often who may ask for what (requirement 9.2).

mod buckets;
mod local;
mod settings;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use async_trait::async_trait;

use crate::domain::ids::{SessionId, UserId};
use crate::domain::quota::Decision;
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;

use super::problem::ApiError;
use super::state::Api;

pub use buckets::Buckets;
pub use local::LocalLimits;
pub use settings::LimitSettings;

/// What is left (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What there is in all.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Requests that share a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Sign-ups and sign-ins.
    Auth,
    /// Refreshes.
    Refresh,
    /// Placing orders.
    Orders,
    /// Everything else by somebody signed in.
    Api,
    /// Everything else.
    Public,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Auth, Self::Refresh, Self::Orders, Self::Api, Self::Public];

    /// Its name in the header fields.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Refresh => "refresh",
            Self::Orders => "orders",
            Self::Api => "api",
            Self::Public => "public",
        }
    }
}

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Somebody signed in.
    User(UserId),
    /// One sign-in.
    Family(SessionId),
    /// Somebody not signed in.
    Address(IpAddr),
}

impl Subject {
    /// An address; of IPv6 its first 64 bits, since who has one address there has all of them.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// Where quotas are kept. An implementation that reaches others for it falls back to what it knows itself: there is
/// no error, and it never lets through because it does not know. Answers within some milliseconds.
#[async_trait]
pub trait RateLimits: Send + Sync + 'static {
    /// Spends one of the subject's quota of this class, or says how long to wait.
    async fn spend(&self, class: Class, subject: Subject, now: Timestamp) -> Decision;

    /// Gives one back that was spent on nothing. Where that is not known any more it stays spent.
    async fn give_back(&self, class: Class, subject: Subject, now: Timestamp);

    /// Gives everybody everything back.
    async fn reset(&self);
}

/// What came of spending from a quota, as the header fields tell it.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    class: Class,
    decision: Decision,
    count: u32,
    window: Duration,
}

impl Spent {
    /// Puts `RateLimit` and `RateLimit-Policy` on an answer.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in self.fields() {
            headers.insert(name, value);
        }
    }

    /// Whether there was nothing left.
    pub fn is_refused(self) -> bool {
        matches!(self.decision, Decision::Refused { .. })
    }

    fn fields(self) -> [(HeaderName, HeaderValue); 2] {
        let (left, until) = match self.decision {
            Decision::Admitted { remaining, reset } => (remaining, reset),
            Decision::Refused { wait } => (0, wait),
        };
        let (name, seconds) = (self.class.as_str(), until.as_millis().div_ceil(1000));
        let value = |text: String| HeaderValue::from_str(&text).expect("words and digits are a header value");
        [
            (RATE_LIMIT, value(format!("\"{name}\";r={left};t={seconds}"))),
            (RATE_LIMIT_POLICY, value(format!("\"{name}\";q={};w={}", self.count, self.window.as_secs()))),
        ]
    }
}

impl Api {
    /// Spends one of a quota; `None` where limits are switched off.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn spend(&self, class: Class, subject: Subject) -> Result<Option<Spent>, ApiError> {
        let spent = self.try_spend(class, subject).await;
        match spent.and_then(|spent| self.refusal(spent)) {
            Some(refusal) => Err(refusal),
            None => Ok(spent),
        }
    }

    /// As [`Self::spend`], for who has something to try before saying no: see [`Self::refusal`].
    pub async fn try_spend(&self, class: Class, subject: Subject) -> Option<Spent> {
        let limits = self.limits.as_ref()?;
        let decision = limits.spend(class, subject, Timestamp::now()).await;
        let (_, count, window) = self.settings.limits.quota(class);
        Some(Spent { class, decision, count, window })
    }

    /// Gives back what was spent on a request that turned out to be free.
    pub async fn give_back(&self, class: Class, subject: Subject) {
        if let Some(limits) = &self.limits {
            limits.give_back(class, subject, Timestamp::now()).await;
        }
    }

    /// 429 with the time to wait, counted, if there was nothing left to spend.
    pub fn refusal(&self, spent: Spent) -> Option<ApiError> {
        let Decision::Refused { wait } = spent.decision else { return None };
        self.metrics.security_events_total.with_label_values(&["rate_limited"]).inc();
        let error = ApiError::new(ProblemCode::TooManyRequests, "Wait as long as Retry-After says.")
            .retry_after(wait);
        Some(spent.fields().into_iter().fold(error, |error, (name, value)| error.with_header(name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_ipv6_are_one_subject_and_in_ipv4_they_are_not() {
        let subject = |text: &str| Subject::address(text.parse().unwrap());
        assert_eq!(subject("2001:db8::1"), subject("2001:db8::ffff:2"));
        assert_ne!(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
        assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
        assert_eq!(subject("192.0.2.1"), subject("::ffff:192.0.2.1"));
    }

    #[test]
    fn the_fields_name_the_class_what_is_left_and_what_there_is() {
        let spent =
            |decision| Spent { class: Class::Auth, decision, count: 10, window: Duration::from_secs(300) };
        let [left, policy] =
            spent(Decision::Admitted { remaining: 9, reset: Duration::from_millis(29_001) }).fields();
        assert_eq!(left.1, "\"auth\";r=9;t=30");
        assert_eq!(policy.1, "\"auth\";q=10;w=300");
        let [left, _] = spent(Decision::Refused { wait: Duration::from_secs(7) }).fields();
        assert_eq!(left.1, "\"auth\";r=0;t=7");
    }
}
