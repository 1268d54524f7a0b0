//! Sign-ins that were ended while their access tokens have not run out.

use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// Which sessions' access tokens are refused. Cheap to clone; every clone is the same list. It holds one entry for
/// each sign-in ended within the life of an access token, as long as somebody prunes it.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<DashMap<SessionId, Timestamp>>);

impl Revocations {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses the session's tokens from now on; after `until` none of them is valid any more.
    pub fn insert(&self, session: SessionId, until: Timestamp) {
        let mut entry = self.0.entry(session).or_insert(until);
        *entry = (*entry).max(until);
    }

    /// Whether the session was ended.
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.contains_key(&session)
    }

    /// Forgets sessions whose last token has run out.
    pub fn prune(&self, now: Timestamp) {
        self.0.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_refused_until_its_last_token_has_run_out() {
        let list = Revocations::new();
        let (session, other) = (SessionId::generate(), SessionId::generate());
        let at = Timestamp::from_unix_seconds;
        list.clone().insert(session, at(100));
        list.insert(session, at(50));
        assert!(list.contains(session));
        assert!(!list.contains(other));
        list.prune(at(99));
        assert!(list.contains(session));
        list.prune(at(100));
        assert!(!list.contains(session));
    }
}
