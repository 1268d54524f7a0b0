//! Random choices that can be repeated.

use std::time::Duration;

/// A generator that makes the same choices from the same seed. Not for secrets.
///
/// It is splitmix64 of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), with the
/// constants of Vigna's public-domain `splitmix64.c`.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins at `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A second generator, for choices at times that are not repeatable.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `count`; 0 when that is 0. The bias of the remainder is far below what a simulation shows.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// One of `choices`, which are not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: f64) -> bool {
        self.share() * 100.0 < percent
    }

    /// Evenly from `least` to `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }

    /// The wait until the next of independent events, `per_second` on average; ten average waits at most.
    pub fn gap(&mut self, per_second: f64) -> Duration {
        let waits = -(1.0 - self.share()).ln();
        Duration::from_secs_f64(waits.min(10.0) / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.next(), rng.next(), rng.next()], expected);
    }

    #[test]
    fn everything_stays_within_its_bounds() {
        let mut rng = Rng::new(7);
        for _ in 0..1_000 {
            assert!((0.0..1.0).contains(&rng.share()));
            assert!(rng.below(3) < 3);
            assert!((5..=9).contains(&rng.millis(5, 9).as_millis()));
            assert!(rng.gap(20.0) <= Duration::from_millis(500));
        }
    }

    #[test]
    fn gaps_keep_the_pace_on_average() {
        let mut rng = Rng::new(42);
        let total: Duration = (0..10_000).map(|_| rng.gap(20.0)).sum();
        assert!((450.0..550.0).contains(&total.as_secs_f64()), "{total:?}");
    }
}
