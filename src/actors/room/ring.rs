//! The last events of a room, bounded by count and bytes.

use std::collections::VecDeque;

use super::Published;

/// Consecutive events, oldest first. When full, the oldest make room.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Published>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
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
    pub(super) const fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_events, max_bytes }
    }

    /// Appends the event that follows the newest one.
    pub(super) fn push(&mut self, event: Published) {
        self.bytes += event.event.frame().len();
        self.events.push_back(event);
        while self.events.len() > self.max_events || (self.bytes > self.max_bytes && !self.events.is_empty())
        {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.event.frame().len();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.events = VecDeque::new();
        self.bytes = 0;
    }

    /// At most `limit` events after `after`, when none of them has been pushed out.
    pub(super) fn after(&self, after: u64, limit: usize) -> Lookup {
        let Some(first) = self.events.front().map(|e| e.event.cursor.seq) else { return Lookup::TooOld };
        if after + 1 < first {
            return Lookup::TooOld;
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        Lookup::Events(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}
