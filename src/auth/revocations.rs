//! Login sessions that have ended while access tokens of them are still valid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::domain::ids::LoginSessionId;
use crate::domain::time::Timestamp;

/// The end of a revocation: it is over when both clocks have passed it.
#[derive(Clone, Copy, Debug)]
struct Until {
    elapsed: Instant,
    wall: Timestamp,
}

/// The login sessions whose access tokens are refused. Cheap to clone; clones share one list. It holds one entry for each
/// session ended within twice the lifetime of an access token, which is how long a token may be accepted (see
/// [`super::token`]), as long as [`Revocations::prune`] is called. Neither a wall clock that jumps ahead nor one that is set
/// back, which makes old tokens valid again, removes an entry early.
#[derive(Clone, Debug)]
pub struct Revocations {
    sessions: Arc<DashMap<LoginSessionId, Until>>,
    kept_for: Duration,
}

impl Revocations {
    /// An empty list, for access tokens of this lifetime.
    pub fn new(access_ttl: Duration) -> Self {
        Self { sessions: Arc::default(), kept_for: access_ttl.saturating_mul(2) }
    }

    /// Refuses the session's tokens from now on.
    pub fn insert(&self, session: LoginSessionId, now: Instant, wall: Timestamp) {
        let until = Until { elapsed: now + self.kept_for, wall: wall.plus(self.kept_for) };
        let mut entry = self.sessions.entry(session).or_insert(until);
        entry.elapsed = entry.elapsed.max(until.elapsed);
        entry.wall = entry.wall.max(until.wall);
    }

    /// Whether the session has ended.
    pub fn contains(&self, session: LoginSessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Removes sessions whose last token has expired by both clocks.
    pub fn prune(&self, now: Instant, wall: Timestamp) {
        self.sessions.retain(|_, until| until.elapsed > now || until.wall > wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_ended_session_is_refused_until_its_last_token_has_run_out() {
        let (list, start) = (Revocations::new(s(50)), Instant::now());
        let (session, other) = (LoginSessionId::generate(), LoginSessionId::generate());
        list.clone().insert(session, start, WALL);
        assert!(list.contains(session));
        assert!(!list.contains(other));
        list.prune(start + s(99), WALL.plus(s(99)));
        assert!(list.contains(session));
        list.prune(start + s(100), WALL.plus(s(100)));
        assert!(!list.contains(session));
    }

    #[test]
    fn a_wall_clock_that_jumps_ahead_and_back_makes_no_ended_sign_in_valid_again() {
        let (list, start) = (Revocations::new(s(50)), Instant::now());
        let session = LoginSessionId::generate();
        list.insert(session, start, WALL);
        list.prune(start + s(1), WALL.plus(s(32_400)));
        assert!(list.contains(session), "a jump of 9 h is no time that has passed");
        list.prune(start + s(200), WALL.minus(s(32_400)));
        assert!(list.contains(session), "set back, its tokens are not over yet");
    }
}
