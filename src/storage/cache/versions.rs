//! Versions of everything cached values are made of: a commit bumps those it changes, and an entry whose inputs have other
//! versions than before its read is not served.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::ids::{BusinessId, OrderId, UserId};

/// Number of versions, a power of two; 512 KiB. Inputs that share one only cost each other a read.
const VERSIONS: usize = 1 << 16;

/// Part of the store that values are made of and a commit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Business(BusinessId),
    Menu(BusinessId),
    Order(OrderId),
    OrdersAt(BusinessId),
    OrdersBy(UserId),
    Orders,
    /// Orders of an unknown customer and business: part of every list and every count.
    OrdersOfSomebody,
    Memberships(UserId),
}

/// Versions of the inputs of one value as of before it was read.
pub(super) type Snapshot = Vec<(usize, u64)>;

pub(super) struct Versions {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

impl Versions {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: (0..VERSIONS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn slot(&self, input: Input) -> usize {
        (self.hasher.hash_one(input) % VERSIONS as u64) as usize
    }

    pub(super) fn snapshot(&self, inputs: &[Input]) -> Snapshot {
        inputs
            .iter()
            .map(|input| {
                let slot = self.slot(*input);
                (slot, self.slots[slot].load(Ordering::SeqCst))
            })
            .collect()
    }

    /// Whether every version is still that of the snapshot.
    pub(super) fn unchanged(&self, snapshot: &Snapshot) -> bool {
        snapshot.iter().all(|(slot, version)| self.slots[*slot].load(Ordering::SeqCst) == *version)
    }

    /// Bumps every version: nothing that was read before is served.
    pub(super) fn bump_all(&self) {
        for slot in &self.slots {
            slot.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(super) fn bump(&self, inputs: &[Input]) {
        for input in inputs {
            self.slots[self.slot(*input)].fetch_add(1, Ordering::SeqCst);
        }
    }
}
