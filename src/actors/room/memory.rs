//! The budget of all rooms of a node for events in memory. Rings that were read least recently are emptied first; the
//! store has everything they held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::EventId;

use super::live_event::LiveEvent;
use super::ring_buffer::{Lookup, RingBuffer, cost};

/// Bytes of events that all rooms hold together, at most a maximum once a call has returned.
#[derive(Debug)]
pub(super) struct RoomMemory {
    max: usize,
    used: AtomicUsize,
    reads: AtomicU64,
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    next: u64,
    rings: HashMap<u64, Arc<SharedRing>>,
}

/// A ring that its room and the budget share.
#[derive(Debug)]
struct SharedRing {
    buffer: Mutex<RingBuffer>,
    /// The count of all reads when this ring was read last, or began.
    read_at: AtomicU64,
}

impl SharedRing {
    fn with<T>(&self, act: impl FnOnce(&mut RingBuffer) -> T) -> T {
        act(&mut self.buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RoomMemory {
    /// An unused budget of `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0), reads: AtomicU64::new(0), rings: Mutex::default() }
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes for something else than a ring; `None` when emptied rings do not free enough.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        self.account(bytes, 0);
        let reserved = Reserved { memory: self.clone(), bytes };
        (self.used() <= self.max).then_some(reserved)
    }

    /// Accounts for a ring that grew or shrank. Beyond the maximum, rings are emptied until an eighth is free, so that
    /// looking for them is rare.
    fn account(&self, added: usize, removed: usize) {
        self.used.fetch_add(added, Ordering::Relaxed);
        self.used.fetch_sub(removed, Ordering::Relaxed);
        if self.used() > self.max {
            self.evict(self.max - self.max / 8);
        }
    }

    fn evict(&self, target: usize) {
        self.with(|rings| {
            let mut rings: Vec<_> = rings.rings.values().collect();
            rings.sort_unstable_by_key(|ring| ring.read_at.load(Ordering::Relaxed));
            for ring in rings {
                if self.used() <= target {
                    return;
                }
                let freed = ring.with(RingBuffer::clear);
                self.used.fetch_sub(freed, Ordering::Relaxed);
            }
        });
    }

    fn register(&self, ring: Arc<SharedRing>) -> u64 {
        self.record_read(&ring);
        self.with(|rings| {
            rings.next += 1;
            rings.rings.insert(rings.next, ring);
            rings.next
        })
    }

    fn record_read(&self, ring: &SharedRing) {
        ring.read_at.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
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

/// The ring of one room, counted in the budget from its first event until it is dropped.
#[derive(Debug)]
pub(super) struct BudgetedRing {
    shared: Arc<SharedRing>,
    memory: Arc<RoomMemory>,
    /// The ring's key in the budget, from its first event on.
    key: Option<u64>,
}

impl BudgetedRing {
    pub(super) fn new(max_events: usize, max_bytes: usize, memory: Arc<RoomMemory>) -> Self {
        let buffer = Mutex::new(RingBuffer::new(max_events, max_bytes));
        Self { shared: Arc::new(SharedRing { buffer, read_at: AtomicU64::new(0) }), memory, key: None }
    }

    /// Appends the event that follows the newest one.
    pub(super) fn push(&mut self, event: LiveEvent) {
        if self.key.is_none() {
            self.key = Some(self.memory.register(self.shared.clone()));
        }
        let added = cost(&event);
        let removed = self.shared.with(|ring| ring.push(event));
        self.memory.account(added, removed);
    }

    pub(super) fn clear(&mut self) {
        let removed = self.shared.with(RingBuffer::clear);
        self.memory.account(0, removed);
    }

    /// At most `limit` events after the number `after`; counts as a read of this ring.
    pub(super) fn after(&self, after: u64, limit: usize) -> Lookup {
        self.memory.record_read(&self.shared);
        self.shared.with(|ring| ring.after(after, limit))
    }

    /// The id of the event with this number, if it is here.
    pub(super) fn id_at(&self, seq: u64) -> Option<EventId> {
        self.shared.with(|ring| ring.id_at(seq))
    }
}

impl Drop for BudgetedRing {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.memory.with(|rings| rings.rings.remove(&key));
        }
        self.clear();
    }
}
