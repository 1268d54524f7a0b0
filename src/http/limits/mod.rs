//! How often who may ask for what (requirement 9.2).

mod local;
mod rates;
mod settings;

use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::access::Principal;
use crate::domain::address::AddressBlock;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::quota::{Decision, Which};
use crate::protocol::problem::ProblemCode;

use super::response::problem::ApiError;
use super::app_state::Api;

pub use local::LocalLimits;
pub use rates::{Rate, rate_of};
pub use settings::LimitSettings;

/// What is left (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What there is in all.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many times a sign-in's quota its user has: a shop's tablets share an account.
const USER_FACTOR: u32 = 10;

/// How many times a block's quota the network around it has.
const NETWORK_FACTOR: u32 = 8;

/// Requests that share a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Sign-ups and sign-ins.
    Auth,
    /// Refreshes.
    Refresh,
    /// Placing orders.
    Orders,
    /// Changes of orders' status.
    Moves,
    /// Everything else by somebody signed in.
    Api,
    /// Everything else.
    Public,
    /// Socket frames that reach the store.
    Frames,
    /// Health and metrics.
    Health,
}

impl Class {
    /// Every class, in the order of their values.
    pub const ALL: [Self; 8] = [
        Self::Auth,
        Self::Refresh,
        Self::Orders,
        Self::Moves,
        Self::Api,
        Self::Public,
        Self::Frames,
        Self::Health,
    ];

    /// Its name in the header fields.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Refresh => "refresh",
            Self::Orders => "orders",
            Self::Moves => "moves",
            Self::Api => "api",
            Self::Public => "public",
            Self::Frames => "frames",
            Self::Health => "health",
        }
    }

    /// How many times its quota a user or a network has; `None` where the subject is the user or a token family.
    const fn wide_factor(self) -> Option<u32> {
        match self {
            Self::Api | Self::Moves => Some(USER_FACTOR),
            Self::Auth | Self::Public | Self::Health => Some(NETWORK_FACTOR),
            Self::Refresh | Self::Orders | Self::Frames => None,
        }
    }

    /// What tells one of its windows from the others, behind its name.
    const fn suffix(self, part: Part, which: Which) -> &'static str {
        match (part, self, which) {
            (Part::Own, _, Which::Short) => "",
            (Part::Own, _, Which::Long) => "-long",
            (Part::Wide, Self::Api | Self::Moves, Which::Short) => "-user",
            (Part::Wide, Self::Api | Self::Moves, Which::Long) => "-user-long",
            (Part::Wide, _, _) => "-network",
        }
    }
}

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Somebody, over all their sign-ins.
    User(UserId),
    /// One sign-in of somebody.
    SignIn {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
    /// The refresh tokens of one sign-in.
    Family(SessionId),
    /// Somebody not signed in.
    Address(AddressBlock),
}

/// Whose entry in a table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    User(UserId),
    SignIn(SessionId),
    Addresses(AddressBlock),
}

/// Which of a subject's two quotas of a class something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Its own.
    Own,
    /// That of its user or network.
    Wide,
}

impl From<Principal> for Subject {
    fn from(Principal { user, session, .. }: Principal) -> Self {
        Self::SignIn { user, session }
    }
}

impl Subject {
    /// Who is behind it, as far as that is known.
    pub(super) fn owner(self) -> Key {
        match self {
            Self::User(user) | Self::SignIn { user, .. } => Key::User(user),
            Self::Family(session) => Key::SignIn(session),
            Self::Address(block) => Key::Addresses(block),
        }
    }

    fn keys(self, class: Class) -> (Key, Option<Key>) {
        match self {
            Self::User(user) => (Key::User(user), None),
            Self::SignIn { user, session } => (Key::SignIn(session), Some(Key::User(user))),
            Self::Family(session) => (Key::SignIn(session), None),
            // Of IPv4 only sign-ins are worth a quota by network: a /24 is many homes.
            Self::Address(block) => {
                let network = block.is_ipv6() || class == Class::Auth;
                (Key::Addresses(block), network.then(|| Key::Addresses(block.network())))
            }
        }
    }
}

/// What came of consuming from a quota, as the header fields tell it.
#[derive(Clone, Debug)]
pub struct Spent {
    class: Class,
    subject: Subject,
    at: Instant,
    decision: Decision,
    part: Part,
    which: Which,
    policy: HeaderValue,
}

impl Spent {
    /// Puts `RateLimit` and `RateLimit-Policy` on an answer.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in self.fields() {
            headers.insert(name, value);
        }
    }

    /// Whether there was nothing left.
    pub fn is_refused(&self) -> bool {
        matches!(self.decision, Decision::Refused { .. })
    }

    /// How long the subject has to wait, if there was nothing left.
    pub fn wait(&self) -> Option<Duration> {
        match self.decision {
            Decision::Refused { wait } => Some(wait),
            Decision::Admitted { .. } => None,
        }
    }

    fn fields(self) -> [(HeaderName, HeaderValue); 2] {
        let (left, until) = match self.decision {
            Decision::Admitted { remaining, reset } => (remaining, reset),
            Decision::Refused { wait } => (0, wait),
        };
        let (name, suffix) = (self.class.as_str(), self.class.suffix(self.part, self.which));
        let seconds = until.as_millis().div_ceil(1000);
        let text = format!("\"{name}{suffix}\";r={left};t={seconds}");
        let limit = HeaderValue::from_str(&text).expect("words and digits are a header value");
        [(RATE_LIMIT, limit), (RATE_LIMIT_POLICY, self.policy)]
    }
}

// Asynchronous, since nodes that share their quotas will have to be asked.
impl Api {
    /// Consumes one of a quota; `None` where limits are switched off.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn spend(&self, class: Class, subject: Subject) -> Result<Option<Spent>, ApiError> {
        let spent = self.try_spend(class, subject).await;
        match spent {
            Some(spent) if spent.is_refused() => Err(self.refusal(spent)),
            spent => Ok(spent),
        }
    }

    /// As [`Self::spend`], for who has something to try before saying no: see [`Self::refusal`].
    pub async fn try_spend(&self, class: Class, subject: Subject) -> Option<Spent> {
        self.limits.as_ref().map(|limits| limits.spend(class, subject, Instant::now()))
    }

    /// The refusal that [`Self::spend`] would meet now; `None` when it would meet none. Consumes nothing.
    pub async fn check_quota(&self, class: Class, subject: Subject) -> Option<Spent> {
        self.limits.as_ref()?.check(class, subject, Instant::now())
    }

    /// Gives back what was consumed by a request that turned out to be free.
    pub async fn refund(&self, spent: Option<&Spent>) {
        if let (Some(limits), Some(spent)) = (&self.limits, spent) {
            limits.refund(spent);
        }
    }

    /// 429 with the time to wait, counted.
    pub fn refusal(&self, spent: Spent) -> ApiError {
        self.metrics.security_events_total.with_label_values(&["rate_limited"]).inc();
        let wait = spent.wait().unwrap_or_default();
        let error = ApiError::new(ProblemCode::TooManyRequests, "Wait as long as Retry-After says.")
            .retry_after(wait);
        spent.fields().into_iter().fold(error, |error, (name, value)| error.with_header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_name_the_window_what_is_left_and_what_there_is() {
        let spent = |decision, part, which| Spent {
            class: Class::Api,
            subject: Subject::User(UserId::generate()),
            at: Instant::now(),
            decision,
            part,
            which,
            policy: HeaderValue::from_static("a policy"),
        };
        let admitted = Decision::Admitted { remaining: 9, reset: Duration::from_millis(29_001) };
        let [left, policy] = spent(admitted, Part::Own, Which::Short).fields();
        assert_eq!(left.1, "\"api\";r=9;t=30");
        assert_eq!(policy.1, "a policy");
        let refused = Decision::Refused { wait: Duration::from_secs(7) };
        let [left, _] = spent(refused, Part::Wide, Which::Long).fields();
        assert_eq!(left.1, "\"api-user-long\";r=0;t=7");
    }

    #[test]
    fn classes_stand_in_the_order_of_their_values() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
    }
}
