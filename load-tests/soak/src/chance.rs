//! Chance that can be repeated: the same seed makes the same choices.

use std::time::Duration;

/// The generator splitmix64 of Steele, Lea and Flood (OOPSLA 2014). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for somebody who chooses at times that are not repeatable.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `count`, which is at least 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Evenly from `least` to `most` milliseconds.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }

    /// The wait until the next of events that come independently, `per_second` on average; ten average waits at most.
    pub(crate) fn gap(&mut self, per_second: f64) -> Duration {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64((-(1.0 - share).ln()).min(10.0) / per_second)
    }
}
