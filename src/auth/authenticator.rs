//! The check of an access token on an open socket: signature, time, and whether its login session has ended.

use std::sync::Arc;

use crate::domain::access::Principal;
use crate::domain::ids::LoginSessionId;
use crate::domain::time::Timestamp;

use super::last_seen::LastSeen;
use super::revocations::Revocations;
use super::token::Tokens;

/// Checks access tokens without asking the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: Arc<Tokens>,
    revocations: Revocations,
    last_seen: LastSeen,
}

impl Authenticator {
    /// An authenticator over this node's keys, revocations and times last seen.
    pub fn new(tokens: Arc<Tokens>, revocations: Revocations, last_seen: LastSeen) -> Self {
        Self { tokens, revocations, last_seen }
    }

    /// The holder of a token and its expiry; `None` when it is not valid now. Notes that its login session was seen.
    pub fn check(&self, token: &str, now: Timestamp) -> Option<(Principal, Timestamp)> {
        let claims = self.tokens.verify_access(token, now).ok()?;
        if self.has_ended(claims.principal.session) {
            return None;
        }
        self.last_seen.record_use(&claims, now);
        Some((claims.principal, claims.expires_at))
    }

    /// Whether a login session has ended while tokens of it could still be valid.
    pub fn has_ended(&self, session: LoginSessionId) -> bool {
        self.revocations.contains(session)
    }
}
