//! The budget of all rooms of a node for events in memory. Rings give way in the order in which they were read; the
//! store has everything they held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Published;
use super::ring::Kept;

/// What an event costs: its bytes, shared by everybody, and its place in a queue.
pub(super) fn cost(event: &Published) -> usize {
    event.event.frame().len() + size_of::<Published>()
}

/// A ring as the budget sees it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) kept: Mutex<Kept>,
    /// The count of reads when it was read last, or began.
    read_at: AtomicU64,
}

impl Shared {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Rings {
    next: u64,
    rings: HashMap<u64, Arc<Shared>>,
}

/// Bytes of events that all rooms hold together, never more than a maximum once a call has returned.
#[derive(Debug)]
pub(super) struct RoomMemory {
    max: usize,
    used: AtomicUsize,
    reads: AtomicU64,
    rings: Mutex<Rings>,
}

impl RoomMemory {
    /// A budget of `max` bytes, none of which is used.
    pub(super) fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0), reads: AtomicU64::new(0), rings: Mutex::default() }
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn register(&self, ring: Arc<Shared>) -> u64 {
        self.was_read(&ring);
        self.with(|rings| {
            rings.next += 1;
            rings.rings.insert(rings.next, ring);
            rings.next
        })
    }

    pub(super) fn unregister(&self, key: u64) {
        self.with(|rings| rings.rings.remove(&key));
    }

    pub(super) fn was_read(&self, ring: &Shared) {
        ring.read_at.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Accounts for a ring that grew or shrank. Beyond the maximum, rings give way until an eighth is free, so that
    /// looking for them is rare.
    pub(super) fn changed(&self, added: usize, removed: usize) {
        self.used.fetch_add(added, Ordering::Relaxed);
        self.used.fetch_sub(removed, Ordering::Relaxed);
        if self.used() > self.max {
            self.make_room(self.max - self.max / 8);
        }
    }

    /// Takes so many bytes for something else than a ring; `None` when rings that give way are not enough.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        self.changed(bytes, 0);
        let reserved = Reserved { memory: self.clone(), bytes };
        (self.used() <= self.max).then_some(reserved)
    }

    fn make_room(&self, target: usize) {
        self.with(|rings| {
            let mut rings: Vec<_> = rings.rings.values().collect();
            rings.sort_unstable_by_key(|ring| ring.read_at.load(Ordering::Relaxed));
            for ring in rings {
                if self.used() <= target {
                    return;
                }
                let freed = ring.with(Kept::clear);
                self.used.fetch_sub(freed, Ordering::Relaxed);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rings) -> T) -> T {
        act(&mut self.rings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes taken from the budget until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    memory: Arc<RoomMemory>,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
