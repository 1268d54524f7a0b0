//! When sign-ins were last seen, between one writing of it and the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;
use crate::storage::command::SessionActivity;

/// Sign-ins remembered at once, 48 bytes each. Beyond it others are seen when these have been written.
const MAX_SESSIONS: usize = 100_000;

/// Which sign-ins were seen since the last time somebody took them, and when: the latest of each. Cheap to clone; every
/// clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Mutex<HashMap<SessionId, Timestamp>>>);

impl Activity {
    /// The sign-in asked for something, or has a socket open.
    pub fn seen(&self, session: SessionId, at: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX_SESSIONS || seen.contains_key(&session) {
            let last = seen.entry(session).or_insert(at);
            *last = (*last).max(at);
        }
    }

    /// When the sign-in was last seen, if that has not been taken.
    pub fn last(&self, session: SessionId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session).copied()
    }

    /// Takes everything, to be written.
    pub fn take(&self) -> Vec<SessionActivity> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        seen.into_iter().map(|(session, at)| SessionActivity { session, at }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_sign_in_is_kept_until_it_is_taken() {
        let activity = Activity::default();
        let session = SessionId::generate();
        let at = Timestamp::from_unix_seconds;
        activity.seen(session, at(2));
        activity.clone().seen(session, at(1));
        assert_eq!(activity.last(session), Some(at(2)));
        assert_eq!(activity.take(), [SessionActivity { session, at: at(2) }]);
        assert_eq!((activity.last(session), activity.take()), (None, Vec::new()));
    }

    #[test]
    fn a_flood_of_sign_ins_does_not_grow_it() {
        let activity = Activity::default();
        for n in 0..=MAX_SESSIONS as u128 {
            activity.seen(SessionId::from_uuid(uuid::Uuid::from_u128(n)), Timestamp::from_unix_seconds(1));
        }
        assert_eq!(activity.take().len(), MAX_SESSIONS);
    }
}
