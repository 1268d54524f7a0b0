//! What the newest orders of a list say about all of them.

use crate::domain::time::Timestamp;

use super::place::Place;

/// The newest rows of a list, and how many of them are hits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'n> {
    pub(super) first: &'n Place,
    pub(super) last: &'n Place,
    pub(super) rows: usize,
    pub(super) hits: usize,
}

impl Sample<'_> {
    /// How many hits there are back to `oldest`, if they have always come as often as lately: it decides what is asked first, and
    /// never what is answered.
    pub(super) fn expected_hits(&self, oldest: Timestamp) -> u64 {
        let passed = u128::from(self.first.at.abs_diff(self.last.at).max(1));
        let all = u128::from(self.first.at.abs_diff(oldest.as_micros()));
        u64::try_from(self.hits as u128 * all / passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_hits_are_expected_of_all_time_as_came_lately() {
        let place = |at| Place { at, id: String::new() };
        let (first, last) = (place(1_000), place(900));
        let sample = Sample { first: &first, last: &last, rows: 500, hits: 5 };
        let oldest = Timestamp::from_micros(0);
        assert_eq!(sample.expected_hits(oldest), 50);
        assert_eq!(Sample { hits: 0, ..sample }.expected_hits(oldest), 0);
        assert_eq!(sample.expected_hits(Timestamp::from_micros(900)), 5, "these are all there are");
        let at_once = Sample { last: &first, ..sample };
        assert_eq!(at_once.expected_hits(Timestamp::from_micros(1_000)), 0, "of no time nothing is known");
        assert_eq!(at_once.expected_hits(oldest), 5_000);
    }
}
