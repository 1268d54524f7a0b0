//! The waiting time of each lane, readable before a command is made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long new work would wait in each lane: set by the actor, read from any thread without waiting. The value read may be out
/// of date by a moment; the queue itself decides.
#[derive(Debug)]
pub(super) struct Backlog {
    origin: Instant,
    max_wait: Duration,
    lanes: Box<[Lane]>,
}

#[derive(Debug, Default)]
struct Lane {
    /// The start of the oldest command's wait: microseconds after `origin`, and one more; 0 when nothing waits.
    oldest: AtomicU64,
    /// Expected time until the queue is empty, microseconds.
    expected: AtomicU64,
}

impl Backlog {
    /// Nothing waits in so many lanes.
    pub(super) fn new(lanes: usize, max_wait: Duration, origin: Instant) -> Self {
        Self { origin, max_wait, lanes: (0..lanes).map(|_| Lane::default()).collect() }
    }

    /// A lane's oldest command has waited since then, and what waits will take so long.
    pub(super) fn set(&self, lane: usize, oldest: Option<Instant>, expected: Duration) {
        let Some(lane) = self.lanes.get(lane) else { return };
        let oldest =
            oldest.map_or(0, |at| micros(at.saturating_duration_since(self.origin)).saturating_add(1));
        lane.oldest.store(oldest, Ordering::Relaxed);
        lane.expected.store(micros(expected), Ordering::Relaxed);
    }

    /// Whether new work for this lane would be refused.
    pub(super) fn is_too_long(&self, lane: usize, now: Instant) -> bool {
        self.lanes.get(lane).is_some_and(|lane| self.wait(lane, now) > self.max_wait)
    }

    /// Whether new work would be refused in most cases, whichever lane it is for: the lanes' waits are over four fifths
    /// of what they may be on average, and over half in each. So nearly all of what has to be refused is refused before
    /// anything was done for it, and one lane with a short queue is enough to let requests through.
    pub(super) fn is_too_long_on_the_whole(&self, now: Instant) -> bool {
        let (mut sum, mut shortest) = (Duration::ZERO, self.max_wait);
        for lane in &self.lanes {
            let wait = self.wait(lane, now).min(self.max_wait);
            sum += wait;
            shortest = shortest.min(wait);
        }
        let lanes = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        shortest > self.max_wait / 2 && sum > self.max_wait * lanes / 5 * 4
    }

    fn wait(&self, lane: &Lane, now: Instant) -> Duration {
        let age = match lane.oldest.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.saturating_duration_since(self.origin + Duration::from_micros(since - 1)),
        };
        age.max(Duration::from_micros(lane.expected.load(Ordering::Relaxed)))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_lane_is_too_long_while_its_oldest_command_waits_or_its_queue_will_take_longer_than_it_may() {
        let start = Instant::now();
        let backlog = Backlog::new(2, ms(250), start);
        assert!(!backlog.is_too_long(0, start + ms(1000)), "nothing waits");
        backlog.set(0, Some(start), Duration::ZERO);
        assert!(!backlog.is_too_long(0, start + ms(250)));
        assert!(backlog.is_too_long(0, start + ms(251)));
        backlog.set(0, None, Duration::ZERO);
        assert!(!backlog.is_too_long(0, start + ms(351)));
        backlog.set(0, Some(start), ms(251));
        assert!(backlog.is_too_long(0, start));
        assert!(!backlog.is_too_long(1, start), "the other lane is idle");
    }

    #[test]
    fn it_is_too_long_on_the_whole_before_every_lane_is_and_never_while_one_has_a_short_queue() {
        let start = Instant::now();
        let backlog = Backlog::new(2, ms(250), start);
        backlog.set(0, Some(start), ms(10_000));
        assert!(!backlog.is_too_long_on_the_whole(start), "one lane is idle");
        backlog.set(1, Some(start), ms(150));
        assert!(!backlog.is_too_long_on_the_whole(start));
        backlog.set(1, Some(start), ms(151));
        assert!(backlog.is_too_long_on_the_whole(start));
        let four = Backlog::new(4, ms(250), start);
        (0..3).for_each(|lane| four.set(lane, Some(start), ms(10_000)));
        four.set(3, Some(start), ms(125));
        assert!(!four.is_too_long_on_the_whole(start), "the fourth lane has a short queue");
        four.set(3, Some(start), ms(126));
        assert!(four.is_too_long_on_the_whole(start));
    }
}
