//! How long cached values hold while other nodes write to the same store.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a value holds which another node may have changed unheard.
const UNHEARD_FOR: Duration = Duration::from_secs(2);

/// A node that has not read the control room for so long knows of no change that others make.
const DEAF_AFTER: Duration = Duration::from_secs(5);

/// A node that stops is counted no longer and still answers requests: whoever saw it goes on for so long as if it were there.
const LEAVES_WITHIN: Duration = Duration::from_secs(60);

/// The way in which a node learns that another one has changed a kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// By the control room.
    ByControl,
    /// By reading it again.
    ByTime,
}

/// What a node knows of those that write to the same store. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Neighbours(Arc<Shared>);

struct Shared {
    /// What moments are counted from.
    began: Instant,
    /// Counts the nodes, with this one.
    count: OnceLock<Box<dyn Fn() -> u32 + Send + Sync>>,
    /// The millisecond in which another node was last counted; 0 when none was.
    beside: AtomicU64,
    /// When the control room was last known to hold nothing unread.
    heard: Mutex<Option<Instant>>,
}

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neighbours").finish_non_exhaustive()
    }
}

impl Neighbours {
    /// Nobody else, as far as is known at this moment.
    pub fn new(now: Instant) -> Self {
        let (count, beside, heard) = (OnceLock::new(), AtomicU64::new(0), Mutex::default());
        Self(Arc::new(Shared { began: now, count, beside, heard }))
    }

    /// Lets the nodes be counted, this one among them, by something that answers at once. Without it, and after the first
    /// call, nothing changes: a node that cannot count is alone.
    pub fn counted_by(&self, count: impl Fn() -> u32 + Send + Sync + 'static) {
        let _ = self.0.count.set(Box::new(count));
    }

    /// Everything that the control room held at this moment has been acted on.
    pub fn heard_all(&self, until: Instant) {
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// How long ago that was; `None` when it never was.
    pub fn heard_ago(&self, now: Instant) -> Option<Duration> {
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|heard| now.saturating_duration_since(heard))
    }

    /// Whether nobody else writes to the store, or did a short while ago. Asked at every read, whether its value is cached or not.
    pub(super) fn are_none(&self, now: Instant) -> bool {
        let Some(count) = self.0.count.get() else { return true };
        let since = now.saturating_duration_since(self.0.began);
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        if count() > 1 {
            self.0.beside.store(millis, Ordering::Relaxed);
            return false;
        }
        let beside = self.0.beside.load(Ordering::Relaxed);
        beside == 0 || Duration::from_millis(millis.saturating_sub(beside)) >= LEAVES_WITHIN
    }

    /// How long a value holds that would hold for `alone` if nobody else wrote.
    pub(super) fn bound(&self, alone: Duration, learned: Learned, now: Instant) -> Duration {
        let is_told = match learned {
            Learned::ByControl => self.heard_ago(now).is_some_and(|ago| ago < DEAF_AFTER),
            Learned::ByTime => false,
        };
        let are_none = self.are_none(now);
        if is_told || are_none { alone } else { alone.min(UNHEARD_FOR) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_other_nodes_a_value_holds_for_two_seconds_unless_its_changes_are_told() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let bounds = |neighbours: &Neighbours, now| {
            [Learned::ByControl, Learned::ByTime].map(|learned| neighbours.bound(s(30), learned, now))
        };
        let alone = Neighbours::new(start);
        assert_eq!(bounds(&alone, start), [s(30), s(30)]);
        alone.counted_by(|| 1);
        assert_eq!(bounds(&alone, start), [s(30), s(30)]);

        let one_of_three = Neighbours::new(start);
        one_of_three.counted_by(|| 3);
        assert_eq!(bounds(&one_of_three, start), [s(2), s(2)], "it has never read the control room");
        one_of_three.heard_all(start);
        assert_eq!(bounds(&one_of_three, start + s(4)), [s(30), s(2)]);
        assert_eq!(bounds(&one_of_three, start + s(5)), [s(2), s(2)], "it cannot read it");
        assert_eq!(one_of_three.bound(s(1), Learned::ByTime, start), s(1), "never longer than set");
    }

    #[test]
    fn a_node_that_was_left_alone_counts_on_the_other_for_a_minute_more() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let nodes = Arc::new(AtomicU64::new(2));
        let (counted, neighbours) = (nodes.clone(), Neighbours::new(start));
        neighbours.counted_by(move || u32::try_from(counted.load(Ordering::Relaxed)).unwrap());
        assert!(!neighbours.are_none(start) && !neighbours.are_none(start + s(100)));
        nodes.store(1, Ordering::Relaxed);
        assert!(!neighbours.are_none(start + s(159)), "it may still answer requests");
        assert!(neighbours.are_none(start + s(160)));
    }
}
