//! When sign-ins were last seen, and which of their tokens their clients have, between one writing of it and the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{SessionActivity, TokenUse};

use super::token::AccessClaims;

/// Sign-ins remembered at once, 80 bytes each. Beyond it others are seen when these have been written.
const MAX_SESSIONS: usize = 100_000;

/// What is known of a sign-in since it was last asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// When it was last seen, until that is taken.
    last: Option<Timestamp>,
    /// The newest tokens its client was seen to have, and since when.
    used: Option<TokenUse>,
    /// Whether that was taken.
    told: bool,
}

/// Which sign-ins were seen since the last time somebody took them, and when: the latest of each. Cheap to clone; every
/// clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Mutex<HashMap<SessionId, Entry>>>);

impl Activity {
    /// The sign-in has a socket open, or was seen by somebody who knows nothing of its tokens.
    pub fn seen(&self, session: SessionId, at: Timestamp) {
        self.note(session, at, None);
    }

    /// An access token of the sign-in was used: its client has what it was given with it.
    pub fn used(&self, claims: &AccessClaims, at: Timestamp) {
        self.note(claims.principal.session, at, claims.generation);
    }

    fn note(&self, session: SessionId, at: Timestamp, generation: Option<u32>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_SESSIONS && !entries.contains_key(&session) {
            return;
        }
        let entry = entries.entry(session).or_default();
        entry.last = entry.last.max(Some(at));
        // The first tokens of a sign-in have none before them that could come back.
        let is_news = |generation: &u32| *generation > entry.used.map_or(0, |used| used.generation);
        if let Some(generation) = generation.filter(is_news) {
            (entry.used, entry.told) = (Some(TokenUse { generation, at }), false);
        }
    }

    /// When the sign-in was last seen, if that has not been taken.
    pub fn last(&self, session: SessionId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session)?.last
    }

    /// The newest tokens that were used here of late, and since when.
    pub fn newest_use(&self, session: SessionId) -> Option<TokenUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session)?.used
    }

    /// Takes everything, to be written; what was not seen since the last time is forgotten.
    pub fn take(&self) -> Vec<SessionActivity> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.last.is_some());
        let taken = entries.iter_mut().filter_map(|(session, entry)| {
            let used = entry.used.filter(|_| !entry.told);
            entry.told = true;
            Some(SessionActivity { session: *session, at: entry.last.take()?, used })
        });
        taken.collect()
    }

    /// Takes those whose clients were seen to have newer tokens than the store knows of.
    pub fn take_uses(&self) -> Vec<SessionActivity> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = entries.iter_mut().filter_map(|(session, entry)| {
            let used = entry.used.filter(|_| !entry.told)?;
            entry.told = true;
            Some(SessionActivity { session: *session, at: entry.last.unwrap_or(used.at), used: Some(used) })
        });
        taken.collect()
    }

    /// Takes back what could not be written.
    pub fn give_back(&self, left: SessionActivity) {
        let SessionActivity { session, at, used } = left;
        self.note(session, at, None);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(entry), Some(used)) = (entries.get_mut(&session), used) {
            if entry.used.is_none_or(|known| known.generation <= used.generation) {
                entry.used = Some(used);
            }
            entry.told = false;
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

    fn claims(session: SessionId, generation: u32) -> AccessClaims {
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
        let activity = Activity::default();
        let session = SessionId::generate();
        activity.seen(session, at(2));
        activity.clone().seen(session, at(1));
        assert_eq!(activity.last(session), Some(at(2)));
        assert_eq!(activity.take(), [SessionActivity { session, at: at(2), used: None }]);
        assert_eq!((activity.last(session), activity.take()), (None, Vec::new()));
    }

    #[test]
    fn the_first_use_of_newer_tokens_is_told_once_and_again_if_it_was_not_written() {
        let activity = Activity::default();
        let session = SessionId::generate();
        activity.used(&claims(session, 0), at(1));
        assert_eq!(activity.take_uses(), [], "a sign-in that was never refreshed");
        activity.used(&claims(session, 2), at(2));
        activity.used(&claims(session, 1), at(3));
        activity.used(&claims(session, 2), at(4));
        assert_eq!(activity.newest_use(session), used(2, 2));
        let taken = activity.take_uses();
        assert_eq!(taken, [SessionActivity { session, at: at(4), used: used(2, 2) }]);
        assert_eq!(activity.take_uses(), []);
        activity.give_back(taken[0]);
        assert_eq!(activity.take(), taken);
        assert_eq!(activity.take_uses(), []);
        activity.used(&claims(session, 3), at(5));
        assert_eq!(activity.take()[0].used, used(3, 5));
        assert_eq!(activity.take(), []);
        assert_eq!(activity.newest_use(session), None, "nothing is kept of who is not seen any more");
    }

    #[test]
    fn a_flood_of_sign_ins_does_not_grow_it() {
        let activity = Activity::default();
        for n in 0..=MAX_SESSIONS as u128 {
            activity.seen(SessionId::from_uuid(uuid::Uuid::from_u128(n)), at(1));
        }
        assert_eq!(activity.take().len(), MAX_SESSIONS);
        activity.take();
        activity.used(&claims(SessionId::generate(), 1), at(2));
        assert_eq!(activity.take().len(), 1);
    }
}
