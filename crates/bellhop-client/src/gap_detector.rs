//! Events that are missing, and events that come again.

use crate::cursor::Cursor;

/// A client's position in one room over all its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapDetector(Option<Cursor>);

/// An event or a hello, seen from the client's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It follows.
    Next,
    /// It lies at or before the position: a client drops it.
    Repeated,
    /// So many events before it never came, and nobody said so; 1 when the history is another one.
    Missed(u64),
}

impl GapDetector {
    /// The position; none before the first hello.
    pub const fn cursor(&self) -> Option<Cursor> {
        self.0
    }

    /// The hub says that events follow from `start`: exactly from the client's position, if it has one.
    pub fn on_hello(&mut self, start: Cursor) -> Arrival {
        let arrival = match self.0 {
            Some(last) if last.epoch != start.epoch => Arrival::Missed(1),
            Some(last) if start.seq < last.seq => return Arrival::Repeated,
            Some(last) if start.seq > last.seq => Arrival::Missed(start.seq - last.seq),
            Some(_) | None => Arrival::Next,
        };
        self.0 = Some(start);
        arrival
    }

    /// An event came.
    pub fn on_event(&mut self, cursor: Cursor) -> Arrival {
        let arrival = match self.0 {
            Some(last) if last.epoch == cursor.epoch => match cursor.seq.checked_sub(last.seq) {
                None | Some(0) => return Arrival::Repeated,
                Some(1) => Arrival::Next,
                Some(ahead) => Arrival::Missed(ahead - 1),
            },
            // Another history without a resync, or an event before the hello.
            _ => Arrival::Missed(1),
        };
        self.0 = Some(cursor);
        arrival
    }

    /// The hub says that the history is gone: the client looks at the present state and goes on from `cursor`.
    pub fn on_resync(&mut self, cursor: Cursor) {
        self.0 = Some(cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    #[test]
    fn events_count_on_from_the_hello_and_repeated_ones_are_dropped() {
        let mut gaps = GapDetector::default();
        assert_eq!(gaps.on_hello(at("1.7")), Arrival::Next);
        let arrivals = ["1.8", "1.9", "1.8", "1.9", "1.10"].map(|text| gaps.on_event(at(text)));
        let expected = [Arrival::Next, Arrival::Next, Arrival::Repeated, Arrival::Repeated, Arrival::Next];
        assert_eq!(arrivals, expected);
        assert_eq!(gaps.cursor(), Some(at("1.10")));
    }

    #[test]
    fn a_hole_is_found_live_and_on_resuming() {
        let mut gaps = GapDetector::default();
        gaps.on_hello(at("1.7"));
        assert_eq!(gaps.on_event(at("1.10")), Arrival::Missed(2));
        assert_eq!(gaps.on_event(at("1.11")), Arrival::Next);
        assert_eq!(gaps.on_hello(at("1.11")), Arrival::Next);
        assert_eq!(gaps.on_hello(at("1.13")), Arrival::Missed(2));
    }

    #[test]
    fn another_history_is_only_taken_from_a_resync() {
        let mut gaps = GapDetector::default();
        gaps.on_hello(at("1.7"));
        assert_eq!(gaps.on_event(at("2.1")), Arrival::Missed(1));
        gaps.on_resync(at("2.5"));
        assert_eq!(gaps.on_event(at("2.6")), Arrival::Next);
    }

    #[test]
    fn a_hello_has_to_fit_the_position() {
        let mut gaps = GapDetector::default();
        assert_eq!(gaps.on_hello(at("a.7")), Arrival::Next);
        let arrivals = ["a.8", "a.8", "a.9", "a.11", "b.12"].map(|text| gaps.on_event(at(text)));
        let expected =
            [Arrival::Next, Arrival::Repeated, Arrival::Next, Arrival::Missed(1), Arrival::Missed(1)];
        assert_eq!(arrivals, expected);
        assert_eq!(gaps.on_hello(at("b.12")), Arrival::Next);
        assert_eq!(gaps.on_hello(at("b.11")), Arrival::Repeated);
        assert_eq!(gaps.on_hello(at("b.13")), Arrival::Missed(1));
        assert_eq!(gaps.on_hello(at("c.13")), Arrival::Missed(1));
    }
}
