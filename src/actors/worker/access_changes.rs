//! Changes of people's access, as state and not as messages: a worker thread whose mailbox is full finds them before its
//! next message, or by its tick within a second.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{LoginSessionId, UserId};

/// Changes kept; a thread that is further behind checks every subscriber instead.
const KEPT: usize = 4_096;

/// An event that subscribers must not outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessChange {
    /// A login session has ended.
    SessionEnded(LoginSessionId),
    /// A user may have lost the right to a room.
    RoomsOf(UserId),
    /// Anybody may have lost anything.
    Everybody,
}

/// Changes that a thread has not acted on yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// All of them, in the order in which they happened.
    Changes(Vec<AccessChange>),
    /// More than are kept: every subscriber has to be checked.
    Unknown,
}

/// The last 4,096 changes of the node and the number of all there were. Never full, never waits.
#[derive(Debug, Default)]
pub(super) struct AccessChanges {
    count: AtomicU64,
    last: Mutex<VecDeque<AccessChange>>,
}

impl AccessChanges {
    /// The number of all changes; a thread keeps the number it has acted on.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, change: AccessChange) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(change);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// The changes after the first `seen`, and the number of all of them.
    pub(super) fn since(&self, seen: u64) -> (Unseen, u64) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count();
        let unseen = usize::try_from(count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let unseen = match last.len().checked_sub(unseen) {
            Some(known) => Unseen::Changes(last.iter().skip(known).copied().collect()),
            None => Unseen::Unknown,
        };
        (unseen, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_finds_each_change_once_and_one_that_is_far_behind_everything() {
        let changes = AccessChanges::default();
        let ended: Vec<AccessChange> =
            (0..3).map(|_| AccessChange::SessionEnded(LoginSessionId::generate())).collect();
        ended.iter().for_each(|change| changes.add(*change));
        assert_eq!(changes.since(0), (Unseen::Changes(ended.clone()), 3));
        assert_eq!(changes.since(2), (Unseen::Changes(ended[2..].to_vec()), 3));
        assert_eq!(changes.since(3), (Unseen::Changes(Vec::new()), 3));
        let user = AccessChange::RoomsOf(UserId::generate());
        (0..KEPT).for_each(|_| changes.add(user));
        assert_eq!(changes.since(2).0, Unseen::Unknown);
        assert_eq!(changes.since(3).0, Unseen::Changes(vec![user; KEPT]));
        assert_eq!(changes.last.lock().unwrap().len(), KEPT);
    }
}
