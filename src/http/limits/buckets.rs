//! What many keys have spent of a quota each, in a table with a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::domain::quota::{Decision, Quota};
use crate::domain::time::Timestamp;

/// How often a full table is searched for keys that are as good as absent, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What each key has spent of one quota. Holds at most `max` keys: beyond it, keys that have everything back are
/// forgotten, and when there are none, new keys share one bucket. So a flood of keys is limited and never lets through.
#[derive(Debug)]
pub struct Buckets<K> {
    /// When each key has everything back.
    whole_at: HashMap<K, Timestamp>,
    shared: Timestamp,
    swept_at: Timestamp,
    max: usize,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Nothing is spent.
    pub fn new(max: usize) -> Self {
        let never = Timestamp::from_micros(0);
        Self { whole_at: HashMap::new(), shared: never, swept_at: never, max }
    }

    /// Spends one, or says how long to wait.
    pub fn spend(&mut self, key: K, quota: Quota, now: Timestamp) -> Decision {
        if self.whole_at.len() >= self.max && !self.whole_at.contains_key(&key) {
            if now.since(self.swept_at) >= SWEEP_EVERY {
                self.swept_at = now;
                self.whole_at.retain(|_, whole_at| *whole_at > now);
            }
            if self.whole_at.len() >= self.max {
                return quota.spend(&mut self.shared, now);
            }
        }
        quota.spend(self.whole_at.entry(key).or_insert(now), now)
    }

    /// Gives one back. What was spent from the shared bucket stays spent: whose it was is not known.
    pub fn give_back(&mut self, key: &K, quota: Quota, now: Timestamp) {
        if let Some(whole_at) = self.whole_at.get_mut(key) {
            *whole_at = whole_at.minus(quota.interval).max(now);
        }
    }

    /// Forgets everything that was spent.
    pub fn clear(&mut self) {
        *self = Self::new(self.max);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN_IN_FIVE_MINUTES: fn() -> Quota = || Quota::new(10, Duration::from_secs(300), 10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + seconds)
    }

    #[test]
    fn what_is_given_back_can_be_spent_again_and_never_more_than_there_is() {
        let mut buckets = Buckets::new(8);
        let quota = TEN_IN_FIVE_MINUTES();
        for _ in 0..10 {
            buckets.spend("a", quota, at(0));
        }
        buckets.give_back(&"a", quota, at(0));
        assert!(matches!(buckets.spend("a", quota, at(0)), Decision::Admitted { remaining: 0, .. }));
        (0..20).for_each(|_| buckets.give_back(&"a", quota, at(0)));
        buckets.give_back(&"b", quota, at(0));
        assert!(matches!(buckets.spend("a", quota, at(0)), Decision::Admitted { remaining: 9, .. }));
    }

    #[test]
    fn a_quota_can_be_spent_at_once_and_comes_back_one_by_one() {
        let mut buckets = Buckets::new(8);
        let mut spend = |seconds| buckets.spend("a", TEN_IN_FIVE_MINUTES(), at(seconds));
        for remaining in (0..10).rev() {
            let reset = Duration::from_secs(30 * (10 - u64::from(remaining)));
            assert_eq!(spend(0), Decision::Admitted { remaining, reset });
        }
        assert_eq!(spend(0), Decision::Refused { wait: Duration::from_secs(30) });
        assert_eq!(spend(29), Decision::Refused { wait: Duration::from_secs(1) });
        assert!(matches!(spend(30), Decision::Admitted { remaining: 0, .. }));
        assert!(matches!(spend(30), Decision::Refused { .. }));
        assert!(matches!(spend(10_000), Decision::Admitted { remaining: 9, .. }));
    }

    #[test]
    fn a_burst_may_be_larger_than_what_comes_back_in_a_window() {
        let quota = Quota::new(100, Duration::from_secs(60), 200);
        let mut buckets = Buckets::new(8);
        let mut admitted = |seconds, tries| {
            let spent = (0..tries).map(|_| buckets.spend("a", quota, at(seconds)));
            spent.filter(|decision| matches!(decision, Decision::Admitted { .. })).count()
        };
        assert_eq!(admitted(0, 300), 200);
        assert_eq!(admitted(60, 300), 100);
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_is_let_through_nor_frees_a_key_that_has_spent() {
        let quota = Quota::new(2, Duration::from_secs(60), 2);
        let mut buckets = Buckets::new(4);
        for _ in 0..2 {
            buckets.spend(0, quota, at(0));
        }
        let admitted = (1..1000)
            .filter(|key| matches!(buckets.spend(*key, quota, at(1)), Decision::Admitted { .. }))
            .count();
        assert_eq!(admitted, 3 + 2, "three keys of their own and what the rest share");
        assert_eq!(buckets.whole_at.len(), 4);
        assert!(matches!(buckets.spend(0, quota, at(1)), Decision::Refused { .. }));
        assert!(matches!(buckets.spend(1000, quota, at(100)), Decision::Admitted { remaining: 1, .. }));
        assert_eq!(buckets.whole_at.len(), 1, "those that have everything back are forgotten");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_quota() {
        let quota = Quota::new(1, Duration::from_secs(60), 1);
        let mut buckets = Buckets::new(4);
        buckets.spend("a", quota, at(100_000));
        assert_eq!(buckets.spend("a", quota, at(0)), Decision::Refused { wait: Duration::from_secs(60) });
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_the_burst_and_what_comes_back(
            count in 1u32..50, window_s in 1u64..100, burst in 1u32..50, mut times in prop::collection::vec(0i64..1000, 1..200),
        ) {
            times.sort_unstable();
            let quota = Quota::new(count, Duration::from_secs(window_s), burst);
            let mut buckets = Buckets::new(4);
            let admitted: Vec<i64> = times.into_iter()
                .filter(|t| matches!(buckets.spend((), quota, at(*t)), Decision::Admitted { .. }))
                .collect();
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let back = Duration::from_secs((to - from) as u64).as_micros() / quota.interval.as_micros();
                    prop_assert!((j - i) as u128 <= back + u128::from(burst));
                }
            }
        }
    }
}
