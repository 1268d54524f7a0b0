//! What a device knows by its cursor: which event is new, which was seen, and whether one is missing.

use crate::domain::cursor::Cursor;

/// A device's place in one room.
#[derive(Debug, Default)]
pub(super) struct Track(Option<Cursor>);

/// What an event is to a device that stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Next,
    /// Seen before: it is dropped.
    Seen,
    /// So many events before it never came, and nobody said so.
    Missed(u64),
}

impl Track {
    /// Where to go on, if it ever was anywhere.
    pub(super) const fn cursor(&self) -> Option<Cursor> {
        self.0
    }

    /// The server says what will follow: nothing may lie between that and what was seen. Without a place of its own
    /// the device begins there.
    pub(super) fn resume(&mut self, follows: Cursor) -> Step {
        match self.0 {
            Some(last) if last.epoch == follows.epoch && follows.seq <= last.seq => Step::Seen,
            Some(last) if last.epoch == follows.epoch => {
                self.0 = Some(follows);
                Step::Missed(follows.seq - last.seq)
            }
            _ => {
                self.0 = Some(follows);
                Step::Next
            }
        }
    }

    /// The server says that the history is gone: everything before `cursor` has to be looked up.
    pub(super) fn reset(&mut self, cursor: Cursor) {
        self.0 = Some(cursor);
    }

    /// An event came.
    pub(super) fn take(&mut self, cursor: Cursor) -> Step {
        let step = match self.0 {
            Some(last) if last.epoch == cursor.epoch => match cursor.seq.checked_sub(last.seq) {
                None | Some(0) => return Step::Seen,
                Some(1) => Step::Next,
                Some(ahead) => Step::Missed(ahead - 1),
            },
            // Another history without a resync, or an event before the hello.
            _ => Step::Missed(1),
        };
        self.0 = Some(cursor);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cursor::Epoch;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(1), seq)
    }

    #[test]
    fn events_count_on_from_the_hello_and_repeated_ones_are_dropped() {
        let mut track = Track::default();
        assert_eq!(track.resume(at(7)), Step::Next);
        let steps: Vec<Step> = [8, 9, 8, 9, 10].into_iter().map(|seq| track.take(at(seq))).collect();
        assert_eq!(steps, [Step::Next, Step::Next, Step::Seen, Step::Seen, Step::Next]);
        assert_eq!(track.cursor(), Some(at(10)));
    }

    #[test]
    fn a_hole_is_found_live_and_on_resuming() {
        let mut track = Track::default();
        track.resume(at(7));
        assert_eq!(track.take(at(10)), Step::Missed(2));
        assert_eq!(track.take(at(11)), Step::Next);
        assert_eq!(track.resume(at(11)), Step::Seen);
        assert_eq!(track.resume(at(13)), Step::Missed(2));
    }

    #[test]
    fn another_history_is_only_taken_from_a_resync() {
        let mut track = Track::default();
        track.resume(at(7));
        let other = |seq| Cursor::new(Epoch::new(2), seq);
        assert_eq!(track.take(other(1)), Step::Missed(1));
        track.reset(other(5));
        assert_eq!(track.take(other(6)), Step::Next);
    }
}
