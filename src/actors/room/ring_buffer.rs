//! The last events of one room, bounded by count and bytes.

use std::collections::VecDeque;

use crate::domain::ids::EventId;

use super::live_event::LiveEvent;

/// Bytes that an event costs: its frame, shared by everybody, and its place in a queue.
pub(super) fn cost(event: &LiveEvent) -> usize {
    event.event.frame().len() + size_of::<LiveEvent>()
}

/// Consecutive events, oldest first. When it is full, the oldest make room.
#[derive(Debug)]
pub(super) struct RingBuffer {
    events: VecDeque<LiveEvent>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

/// Events of a ring after a position.
#[derive(Debug)]
pub(super) enum Lookup {
    /// All of them, or the first ones.
    Events(Vec<LiveEvent>),
    /// Some were pushed out; only the store goes back that far.
    TooOld,
}

impl RingBuffer {
    pub(super) const fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_events, max_bytes }
    }

    /// Appends the event that follows the newest one; returns the cost of those that made room.
    pub(super) fn push(&mut self, event: LiveEvent) -> usize {
        self.bytes += event.event.frame().len();
        self.events.push_back(event);
        let mut removed = 0;
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.frame().len();
            removed += cost(&oldest);
        }
        removed
    }

    /// Forgets everything; returns its cost.
    pub(super) fn clear(&mut self) -> usize {
        let removed = self.bytes + self.events.len() * size_of::<LiveEvent>();
        (self.events, self.bytes) = (VecDeque::new(), 0);
        removed
    }

    /// At most `limit` events after the number `after`.
    pub(super) fn after(&self, after: u64, limit: usize) -> Lookup {
        let Some(first) = self.events.front().map(|e| e.event.cursor.seq) else { return Lookup::TooOld };
        if after + 1 < first {
            return Lookup::TooOld;
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        Lookup::Events(self.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// The id of the event with this number, if it is here.
    pub(super) fn id_at(&self, seq: u64) -> Option<EventId> {
        let first = self.events.front()?.event.cursor.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.events.get(index).map(|e| e.event.id)
    }
}
