//! The last events of a room, bounded by count and bytes, and in sum over all rooms.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::ids::EventId;

use super::Published;
use super::memory::{RoomMemory, Shared, cost};

/// Consecutive events, oldest first. When full, the oldest make room; when all rings together are, whole rings do.
#[derive(Debug)]
pub(super) struct Ring {
    shared: Arc<Shared>,
    memory: Arc<RoomMemory>,
    /// Its key in the budget, from its first event on.
    key: Option<u64>,
    max_events: usize,
    max_bytes: usize,
}

/// The events of a ring.
#[derive(Debug, Default)]
pub(super) struct Kept {
    events: VecDeque<Published>,
    bytes: usize,
}

/// What a ring knows about the time after a position.
#[derive(Debug)]
pub(super) enum Lookup {
    /// Everything after it, or the first of it.
    Events(Vec<Published>),
    /// Only the store goes back that far.
    TooOld,
}

impl Ring {
    pub(super) fn new(max_events: usize, max_bytes: usize, memory: Arc<RoomMemory>) -> Self {
        Self { shared: Arc::default(), memory, key: None, max_events, max_bytes }
    }

    /// Appends the event that follows the newest one.
    pub(super) fn push(&mut self, event: Published) {
        if self.key.is_none() {
            self.key = Some(self.memory.register(self.shared.clone()));
        }
        let added = cost(&event);
        let removed = self.shared.with(|kept| kept.push(event, self.max_events, self.max_bytes));
        self.memory.changed(added, removed);
    }

    pub(super) fn clear(&mut self) {
        let removed = self.shared.with(Kept::clear);
        self.memory.changed(0, removed);
    }

    /// At most `limit` events after `after`, when none of them has been pushed out.
    pub(super) fn after(&self, after: u64, limit: usize) -> Lookup {
        self.memory.was_read(&self.shared);
        self.shared.with(|kept| kept.after(after, limit))
    }

    /// The event with this number, if it is here.
    pub(super) fn id_at(&self, seq: u64) -> Option<EventId> {
        self.shared.with(|kept| {
            let first = kept.events.front()?.event.cursor.seq;
            let index = usize::try_from(seq.checked_sub(first)?).ok()?;
            kept.events.get(index).map(|e| e.event.id)
        })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.memory.unregister(key);
        }
        self.clear();
    }
}

impl Kept {
    /// Gives the cost of what had to make room.
    fn push(&mut self, event: Published, max_events: usize, max_bytes: usize) -> usize {
        self.bytes += event.event.frame().len();
        self.events.push_back(event);
        let mut removed = 0;
        while self.events.len() > max_events || self.bytes > max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.frame().len();
            removed += cost(&oldest);
        }
        removed
    }

    /// Forgets everything and gives what it cost.
    pub(super) fn clear(&mut self) -> usize {
        let removed = self.bytes + self.events.len() * size_of::<Published>();
        *self = Self::default();
        removed
    }

    fn after(&self, after: u64, limit: usize) -> Lookup {
        let Some(first) = self.events.front().map(|e| e.event.cursor.seq) else { return Lookup::TooOld };
        if after + 1 < first {
            return Lookup::TooOld;
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        Lookup::Events(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}
