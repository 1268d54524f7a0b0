//! What the newest orders of a list say about all of them.

use crate::domain::time::Timestamp;

use super::newest::Place;

/// The newest rows of a list, and how many of them are hits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'n> {
    pub(super) first: &'n Place,
    pub(super) last: &'n Place,
    pub(super) rows: usize,
    pub(super) hits: usize,
}

impl Sample<'_> {
    /// How many there are back to `oldest`, if they have always come as often as these `some`: it decides what is asked first, and
    /// never what is answered.
    pub(super) fn expected(&self, some: usize, oldest: Timestamp) -> u64 {
        let passed = u128::from(self.first.at.abs_diff(self.last.at).max(1));
        let all = u128::from(self.first.at.abs_diff(oldest.as_micros()));
        u64::try_from(some as u128 * all / passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_expected_of_all_time_as_came_lately() {
        let place = |at| Place { at, id: String::new() };
        let (first, last) = (place(1_000), place(900));
        let sample = Sample { first: &first, last: &last, rows: 500, hits: 5 };
        let oldest = Timestamp::from_micros(0);
        assert_eq!((sample.expected(500, oldest), sample.expected(5, oldest)), (5_000, 50));
        assert_eq!(sample.expected(0, oldest), 0);
        assert_eq!(sample.expected(500, Timestamp::from_micros(900)), 500, "these are all there are");
        let at_once = Sample { last: &first, ..sample };
        assert_eq!(at_once.expected(500, Timestamp::from_micros(1_000)), 0, "of no time nothing is known");
        assert_eq!(at_once.expected(500, oldest), 500_000);
    }
}
