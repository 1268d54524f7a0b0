//! Times at which login sessions were last seen, and which of their tokens their clients have, until they are stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::LoginSessionId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{SessionActivity, TokenUse};

use super::token::AccessClaims;

/// Login sessions remembered at once, 80 bytes each; further ones are not noted until these are stored.
const MAX_SESSIONS: usize = 100_000;

/// A login session since its last store.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// `None` once it was taken.
    last: Option<Timestamp>,
    /// The newest tokens its client was seen to have.
    used: Option<TokenUse>,
    /// `used` was taken.
    taken: bool,
}

/// The latest time each login session was seen since the last [`LastSeen::take`]; at most 100,000 of them. Cheap to clone; clones
/// share their content.
#[derive(Clone, Debug, Default)]
pub struct LastSeen(Arc<Mutex<HashMap<LoginSessionId, Entry>>>);

impl LastSeen {
    /// Notes that the session was seen, by something that knows nothing of its tokens, such as an open socket.
    pub fn touch(&self, session: LoginSessionId, at: Timestamp) {
        self.note(session, at, None);
    }

    /// Notes that an access token was used: its client has the refresh token that came with it.
    pub fn record_use(&self, claims: &AccessClaims, at: Timestamp) {
        self.note(claims.principal.session, at, claims.generation);
    }

    fn note(&self, session: LoginSessionId, at: Timestamp, generation: Option<u32>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_SESSIONS && !entries.contains_key(&session) {
            return;
        }
        let entry = entries.entry(session).or_default();
        entry.last = entry.last.max(Some(at));
        // Nothing came before the first tokens of a session that could be presented again.
        let is_news = |generation: &u32| *generation > entry.used.map_or(0, |used| used.generation);
        if let Some(generation) = generation.filter(is_news) {
            (entry.used, entry.taken) = (Some(TokenUse { generation, at }), false);
        }
    }

    /// The time the session was last seen, if it has not been taken.
    pub fn get(&self, session: LoginSessionId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session)?.last
    }

    /// The newest tokens of the session that were used on this node recently.
    pub fn newest_use(&self, session: LoginSessionId) -> Option<TokenUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session)?.used
    }

    /// Takes everything, to be stored; sessions not seen since the last call are forgotten.
    pub fn take(&self) -> Vec<SessionActivity> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.last.is_some());
        let taken = entries.iter_mut().filter_map(|(session, entry)| {
            let used = entry.used.filter(|_| !entry.taken);
            entry.taken = true;
            Some(SessionActivity { session: *session, at: entry.last.take()?, used })
        });
        taken.collect()
    }

    /// Takes the sessions whose clients have newer tokens than the store knows of.
    pub fn take_uses(&self) -> Vec<SessionActivity> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = entries.iter_mut().filter_map(|(session, entry)| {
            let used = entry.used.filter(|_| !entry.taken)?;
            entry.taken = true;
            Some(SessionActivity { session: *session, at: entry.last.unwrap_or(used.at), used: Some(used) })
        });
        taken.collect()
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, left: SessionActivity) {
        let SessionActivity { session, at, used } = left;
        self.note(session, at, None);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(entry), Some(used)) = (entries.get_mut(&session), used) {
            if entry.used.is_none_or(|known| known.generation <= used.generation) {
                entry.used = Some(used);
            }
            entry.taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::access::{Principal, Role};
    use crate::domain::ids::UserId;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn claims(session: LoginSessionId, generation: u32) -> AccessClaims {
        AccessClaims {
            principal: Principal { user: UserId::generate(), session, role: Role::Merchant },
            device: None,
            generation: Some(generation),
            token_id: uuid::Uuid::nil(),
            issued_at: at(0),
            expires_at: at(3600),
        }
    }

    fn used(generation: u32, seconds: i64) -> Option<TokenUse> {
        Some(TokenUse { generation, at: at(seconds) })
    }

    #[test]
    fn the_latest_of_each_sign_in_is_kept_until_it_is_taken() {
        let last_seen = LastSeen::default();
        let session = LoginSessionId::generate();
        last_seen.touch(session, at(2));
        last_seen.clone().touch(session, at(1));
        assert_eq!(last_seen.get(session), Some(at(2)));
        assert_eq!(last_seen.take(), [SessionActivity { session, at: at(2), used: None }]);
        assert_eq!((last_seen.get(session), last_seen.take()), (None, Vec::new()));
    }

    #[test]
    fn the_first_use_of_newer_tokens_is_told_once_and_again_if_it_was_not_written() {
        let last_seen = LastSeen::default();
        let session = LoginSessionId::generate();
        last_seen.record_use(&claims(session, 0), at(1));
        assert_eq!(last_seen.take_uses(), [], "a sign-in that was never refreshed");
        last_seen.record_use(&claims(session, 2), at(2));
        last_seen.record_use(&claims(session, 1), at(3));
        last_seen.record_use(&claims(session, 2), at(4));
        assert_eq!(last_seen.newest_use(session), used(2, 2));
        let taken = last_seen.take_uses();
        assert_eq!(taken, [SessionActivity { session, at: at(4), used: used(2, 2) }]);
        assert_eq!(last_seen.take_uses(), []);
        last_seen.put_back(taken[0]);
        assert_eq!(last_seen.take(), taken);
        assert_eq!(last_seen.take_uses(), []);
        last_seen.record_use(&claims(session, 3), at(5));
        assert_eq!(last_seen.take()[0].used, used(3, 5));
        assert_eq!(last_seen.take(), []);
        assert_eq!(last_seen.newest_use(session), None, "nothing is kept of who is not seen any more");
    }

    #[test]
    fn a_flood_of_sign_ins_does_not_grow_it() {
        let last_seen = LastSeen::default();
        for n in 0..=MAX_SESSIONS as u128 {
            last_seen.touch(LoginSessionId::from_uuid(uuid::Uuid::from_u128(n)), at(1));
        }
        assert_eq!(last_seen.take().len(), MAX_SESSIONS);
        last_seen.take();
        last_seen.record_use(&claims(LoginSessionId::generate(), 1), at(2));
        assert_eq!(last_seen.take().len(), 1);
    }
}
