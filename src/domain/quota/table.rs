//! The usage of one quota by many subjects, in a table with a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::domain::quota::{Decision, Quota, Usage, WindowKind};

/// A full table frees this part of itself at once (one 16th), so that the search costs each new subject only a few steps.
const FREED: usize = 16;

/// A table with fewer subjects than this is never searched for unused ones.
const FEW: usize = 64;

/// Most that a table holds.
#[derive(Clone, Copy, Debug)]
pub struct TableBounds {
    /// Most subjects, about 100 bytes each.
    pub subjects: usize,
    /// Most slots of all subjects together, 8 bytes each.
    pub slots: usize,
}

/// The usage of one quota by each subject. A full table forgets the subjects that have consumed least, so a flood of new subjects
/// displaces itself: neither newcomers nor heavy users lose their entries to it.
#[derive(Debug)]
pub struct QuotaTable<K> {
    quota: Quota,
    usages: HashMap<K, Usage>,
    slots: usize,
    bounds: TableBounds,
    /// The number of subjects that starts the next search for unused ones.
    search_at: usize,
}

impl<K: Copy + Eq + Hash> QuotaTable<K> {
    /// An empty table: nothing is consumed.
    pub fn new(quota: Quota, bounds: TableBounds) -> Self {
        Self { quota, usages: HashMap::new(), slots: 0, bounds, search_at: FEW.min(bounds.subjects) }
    }

    /// Consumes one of the subject's quota, or says how long to wait.
    pub fn consume(&mut self, key: K, now: Duration) -> (Decision, WindowKind) {
        self.consume_share(key, 1, now)
    }

    /// As [`Self::consume`], where the subject has one of `parts` shares of its quota.
    pub fn consume_share(&mut self, key: K, parts: u32, now: Duration) -> (Decision, WindowKind) {
        let quota = self.quota.share(parts);
        self.with(key, now, |usage| usage.consume(&quota, now))
    }

    /// The refusal that [`Self::consume_share`] would return now, or `None`. Consumes nothing.
    pub fn check_share(&mut self, key: &K, parts: u32, now: Duration) -> Option<(Decision, WindowKind)> {
        self.usages.get_mut(key)?.check(&self.quota.share(parts), now)
    }

    /// Records one in the short window without asking; in a full window it replaces the oldest.
    pub fn record(&mut self, key: K, now: Duration) {
        let quota = self.quota;
        self.with(key, now, |usage| usage.record(&quota, now));
    }

    /// The number of requests in the subject's short window now, and the time of the latest; `None` for an unknown subject.
    pub fn recent(&mut self, key: &K, now: Duration) -> Option<(u32, Duration)> {
        let usage = self.usages.get_mut(key)?;
        let count = usage.count(&self.quota, now);
        usage.last().map(|last| (count, last))
    }

    /// Gives back one that the subject consumed at `at`; without effect when it is forgotten.
    pub fn refund(&mut self, key: &K, at: Duration) {
        if let Some(usage) = self.usages.get_mut(key) {
            usage.refund(at);
        }
    }

    /// Forgets a subject.
    pub fn forget(&mut self, key: &K) {
        if let Some(usage) = self.usages.remove(key) {
            self.slots -= usage.slots();
        }
    }

    /// Forgets everything that was consumed.
    pub fn clear(&mut self) {
        *self = Self::new(self.quota, self.bounds);
    }

    fn with<T>(&mut self, key: K, now: Duration, act: impl FnOnce(&mut Usage) -> T) -> T {
        if self.usages.len() >= self.search_at && !self.usages.contains_key(&key) {
            self.make_room(now);
        }
        let usage = self.usages.entry(key).or_default();
        let before = usage.slots();
        let outcome = act(usage);
        self.slots = self.slots + usage.slots() - before;
        if self.slots > self.bounds.slots {
            self.make_room(now);
        }
        outcome
    }

    fn make_room(&mut self, now: Duration) {
        let quota = self.quota;
        self.keep(|usage| usage.fullness(&quota, now) > 0);
        while self.usages.len() >= self.bounds.subjects || self.slots > self.bounds.slots {
            let rank = |usage: &mut Usage| (usage.fullness(&quota, now), usage.last());
            let mut ranks: Vec<_> = self.usages.values_mut().map(rank).collect();
            let freed = (ranks.len() / FREED).min(ranks.len().saturating_sub(1));
            let (_, last, _) = ranks.select_nth_unstable(freed);
            let last = *last;
            let mut left = freed + 1;
            self.keep(|usage| {
                let goes = left > 0 && rank(usage) <= last;
                left -= usize::from(goes);
                !goes
            });
        }
        self.search_at = (self.usages.len() * 2).clamp(FEW.min(self.bounds.subjects), self.bounds.subjects);
    }

    fn keep(&mut self, mut wanted: impl FnMut(&mut Usage) -> bool) {
        let mut slots = 0;
        self.usages.retain(|_, usage| {
            let kept = wanted(usage);
            slots += if kept { usage.slots() } else { 0 };
            kept
        });
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quota::Window;

    const FEW_OF_EACH: TableBounds = TableBounds { subjects: 128, slots: 1 << 20 };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    fn table(count: u32) -> QuotaTable<u32> {
        QuotaTable::new(Window::new(count, Duration::from_secs(60)).into(), FEW_OF_EACH)
    }

    fn admits(table: &mut QuotaTable<u32>, key: u32, seconds: u64) -> bool {
        matches!(table.consume(key, at(seconds)).0, Decision::Admitted { .. })
    }

    #[test]
    fn a_flood_of_subjects_displaces_itself_and_neither_newcomers_nor_the_exhausted() {
        let mut table = table(3);
        for _ in 0..3 {
            assert!(admits(&mut table, 0, 0));
        }
        for key in 1..10_000 {
            assert!(admits(&mut table, key, 1), "a newcomer is not one of a crowd");
            assert!(table.usages.len() <= FEW_OF_EACH.subjects);
        }
        assert!(!admits(&mut table, 0, 2), "who has nothing left is not freed by others");
    }

    #[test]
    fn subjects_that_have_everything_back_are_forgotten_before_the_table_is_full() {
        let mut table = table(3);
        for key in 0..64 {
            table.consume(key, at(0));
        }
        assert_eq!(table.usages.len(), 64);
        table.consume(64, at(60));
        assert_eq!(table.usages.len(), 1);
    }

    #[test]
    fn the_slots_of_all_subjects_together_have_a_bound() {
        let quota = Window::new(60, Duration::from_secs(60)).into();
        let mut table = QuotaTable::new(quota, TableBounds { subjects: 1_000, slots: 640 });
        for second in 0..60 {
            for key in 0..100 {
                table.consume(key, at(second));
                assert!(table.slots <= 640 && table.slots == slots(&table));
            }
        }
        table.forget(&99);
        assert_eq!(table.slots, slots(&table));
        table.clear();
        assert_eq!((table.slots, table.usages.len()), (0, 0));
    }

    fn slots(table: &QuotaTable<u32>) -> usize {
        table.usages.values().map(Usage::slots).sum()
    }
}
