//! What shows that a value was changed since it was read: a mark for each subject, which a commit moves on.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::ids::{BusinessId, OrderId, UserId};

/// Marks there are, a power of two; 512 KiB. Subjects that share one only cost each other a read.
const MARKS: usize = 1 << 16;

/// What a commit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Business(BusinessId),
    Menu(BusinessId),
    Order(OrderId),
    OrdersAt(BusinessId),
    OrdersBy(UserId),
    Orders,
    /// Nobody knows whose and where: of every list and every count.
    OrdersOfSomebody,
    Memberships(UserId),
}

/// The marks of what a value is made of, as they were before it was read.
pub(super) type Seen = Vec<(usize, u64)>;

pub(super) struct Marks {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: (0..MARKS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn slot(&self, subject: Subject) -> usize {
        (self.hasher.hash_one(subject) % MARKS as u64) as usize
    }

    pub(super) fn see(&self, subjects: &[Subject]) -> Seen {
        subjects
            .iter()
            .map(|subject| {
                let slot = self.slot(*subject);
                (slot, self.slots[slot].load(Ordering::SeqCst))
            })
            .collect()
    }

    pub(super) fn hold(&self, seen: &Seen) -> bool {
        seen.iter().all(|(slot, mark)| self.slots[*slot].load(Ordering::SeqCst) == *mark)
    }

    pub(super) fn move_on(&self, subjects: &[Subject]) {
        for subject in subjects {
            self.slots[self.slot(*subject)].fetch_add(1, Ordering::SeqCst);
        }
    }
}
