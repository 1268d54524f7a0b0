//! The times that a search asks the text index for, one range after the other.

use std::ops::RangeInclusive;

/// Ranges of times, as the terms have them, from a newest down to the oldest there are orders of, each twice as long as the one
/// before: what has found little so far may look at as much again.
pub(super) struct Times {
    pub(super) newest: Option<u16>,
    pub(super) oldest: u16,
    pub(super) length: u16,
    pub(super) longest: u16,
}

impl Times {
    /// How many times are left, one by one.
    pub(super) fn periods(&self) -> usize {
        self.newest.map_or(0, |newest| usize::from(newest.saturating_sub(self.oldest)) + 1)
    }
}

impl Iterator for Times {
    type Item = RangeInclusive<u16>;

    fn next(&mut self) -> Option<Self::Item> {
        let newest = self.newest.filter(|newest| *newest >= self.oldest)?;
        let first = newest.saturating_sub(self.length - 1).max(self.oldest);
        self.newest = first.checked_sub(1);
        self.length = self.length.saturating_mul(2).min(self.longest);
        Some(first..=newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_looked_at_once_each_and_ever_more_at_a_time() {
        let times = |newest, oldest, longest| {
            Times { newest: Some(newest), oldest, length: 1, longest }.collect::<Vec<_>>()
        };
        assert_eq!(times(20, 3, 100), [20..=20, 18..=19, 14..=17, 6..=13, 3..=5]);
        assert_eq!(times(9, 4, 3), [9..=9, 7..=8, 4..=6]);
        assert_eq!(times(2, 0, 1), [2..=2, 1..=1, 0..=0]);
        assert!(times(2, 3, 9).is_empty(), "nothing is older than the oldest");
    }
}
