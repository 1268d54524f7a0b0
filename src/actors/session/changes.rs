//! What ended or changed for people with open sockets, as state and not as messages: a worker thread that could not be
//! told finds it at its next turn, or by its clock within a second.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{SessionId, UserId};

/// Changes kept; a thread that is further behind looks at everybody instead.
const KEPT: usize = 4_096;

/// Something that sockets and readers must not outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A sign-in has ended.
    SessionEnded(SessionId),
    /// A user may have lost the right to a room.
    RoomsOf(UserId),
}

/// What a thread has not acted on yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// These, in the order in which they happened.
    Changes(Vec<Change>),
    /// More than are kept: whatever is open has to be looked at.
    Everything,
}

/// The last changes of the node and how many there ever were. Never full, never waits.
#[derive(Debug, Default)]
pub(super) struct Changes {
    count: AtomicU64,
    last: Mutex<VecDeque<Change>>,
}

impl Changes {
    /// How many there were; a thread keeps the number it has acted on.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, change: Change) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(change);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// What came after the first `seen` of them, and how many there are now.
    pub(super) fn since(&self, seen: u64) -> (Missed, u64) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count();
        let missed = usize::try_from(count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let missed = match last.len().checked_sub(missed) {
            Some(known) => Missed::Changes(last.iter().skip(known).copied().collect()),
            None => Missed::Everything,
        };
        (missed, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_finds_each_change_once_and_one_that_is_far_behind_everything() {
        let changes = Changes::default();
        let ended: Vec<Change> = (0..3).map(|_| Change::SessionEnded(SessionId::generate())).collect();
        ended.iter().for_each(|change| changes.add(*change));
        assert_eq!(changes.since(0), (Missed::Changes(ended.clone()), 3));
        assert_eq!(changes.since(2), (Missed::Changes(ended[2..].to_vec()), 3));
        assert_eq!(changes.since(3), (Missed::Changes(Vec::new()), 3));
        let user = Change::RoomsOf(UserId::generate());
        (0..KEPT).for_each(|_| changes.add(user));
        assert_eq!(changes.since(2).0, Missed::Everything);
        assert_eq!(changes.since(3).0, Missed::Changes(vec![user; KEPT]));
        assert_eq!(changes.last.lock().unwrap().len(), KEPT);
    }
}
