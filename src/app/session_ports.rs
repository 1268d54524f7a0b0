//! What sessions ask of HTTP's limits and tokens, by the ports they name.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::session::{Credentials, FrameQuota};
use crate::auth::activity::Activity;
use crate::auth::revocations::Revocations;
use crate::auth::token::Tokens;
use crate::domain::access::Principal;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::http::limits::{LocalLimits, QuotaSubject, RateClass};

/// Socket frames, which spend the same quotas as requests; without limits they spend nothing.
pub(super) struct FrameLimits(pub(super) Option<Arc<LocalLimits>>);

impl FrameQuota for FrameLimits {
    fn spend(&self, user: UserId, now: std::time::Instant) -> Result<(), Duration> {
        let Some(limits) = &self.0 else { return Ok(()) };
        limits.consume(RateClass::Frames, QuotaSubject::User(user), now).wait().map_or(Ok(()), Err)
    }
}

/// Access tokens sent over open sockets.
pub(super) struct TokenCredentials {
    pub(super) tokens: Arc<Tokens>,
    pub(super) revocations: Revocations,
    pub(super) activity: Activity,
}

impl Credentials for TokenCredentials {
    fn check(&self, token: &str, now: Timestamp) -> Option<(Principal, Timestamp)> {
        let claims = self.tokens.verify_access(token, now).ok()?;
        if self.revocations.contains(claims.principal.session) {
            return None;
        }
        self.activity.used(&claims, now);
        Some((claims.principal, claims.expires_at))
    }

    fn has_ended(&self, session: SessionId) -> bool {
        self.revocations.contains(session)
    }
}
