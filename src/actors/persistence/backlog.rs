//! How long commands wait, for whoever wants to know before making one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Since when the oldest command of each lane waits: told by the actor, read from any thread without waiting. What is
/// read is a moment old; the queue itself decides.
#[derive(Debug)]
pub(super) struct Backlog {
    origin: Instant,
    max_age: Duration,
    /// Microseconds after `origin`, and one more; 0 when nothing waits.
    lanes: Box<[AtomicU64]>,
}

impl Backlog {
    /// Nothing waits in so many lanes.
    pub(super) fn new(lanes: usize, max_age: Duration, origin: Instant) -> Self {
        Self { origin, max_age, lanes: (0..lanes).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The oldest command of a lane has waited since then; `None` when there is none.
    pub(super) fn set(&self, lane: usize, oldest: Option<Instant>) {
        let since = |at: Instant| at.saturating_duration_since(self.origin).as_micros();
        let value = oldest.map_or(0, |at| u64::try_from(since(at)).unwrap_or(u64::MAX - 1) + 1);
        if let Some(lane) = self.lanes.get(lane) {
            lane.store(value, Ordering::Relaxed);
        }
    }

    /// Whether new work for this lane would be refused.
    pub(super) fn is_too_old(&self, lane: usize, now: Instant) -> bool {
        let oldest = self.lanes.get(lane).map_or(0, |lane| lane.load(Ordering::Relaxed));
        oldest != 0
            && now.saturating_duration_since(self.origin + Duration::from_micros(oldest - 1)) > self.max_age
    }

    /// Whether new work would be refused whichever lane it is for.
    pub(super) fn is_too_old_everywhere(&self, now: Instant) -> bool {
        (0..self.lanes.len()).all(|lane| self.is_too_old(lane, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_too_old_while_its_oldest_command_waits_longer_than_it_may() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let backlog = Backlog::new(2, ms(250), start);
        assert!(!backlog.is_too_old(0, start + ms(1000)), "nothing waits");
        backlog.set(0, Some(start));
        assert!(!backlog.is_too_old(0, start + ms(250)));
        assert!(backlog.is_too_old(0, start + ms(251)));
        assert!(!backlog.is_too_old_everywhere(start + ms(251)), "the other lane is idle");
        backlog.set(1, Some(start + ms(100)));
        assert!(!backlog.is_too_old_everywhere(start + ms(251)));
        assert!(backlog.is_too_old_everywhere(start + ms(351)));
        backlog.set(0, None);
        assert!(!backlog.is_too_old(0, start + ms(351)));
    }
}
