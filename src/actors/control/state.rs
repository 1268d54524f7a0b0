//! The pure state of the control room on this node: the position up to which everything was acted on.

use crate::domain::cursor::{Cursor, Head};
use crate::domain::ids::EventId;

/// What an event that arrived says about those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is the next one, or was known.
    InOrder,
    /// Others are between: they may be on their way.
    Early,
    /// It belongs to another history.
    Foreign,
}

/// What the store's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything was acted on.
    Reached,
    /// Events are to be read.
    Behind,
    /// The histories differ: nothing that is kept in memory can be trusted.
    Foreign,
}

/// What a page of history came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The events from this index on are to be acted on, and the position is behind the last one.
    From(usize),
    /// Events between are kept no longer, or the histories differ.
    Hole,
}

/// A position in the control room, with the event that stands there where it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlState {
    head: Head,
}

impl ControlState {
    /// Everything up to the head was acted on.
    pub(super) fn at(head: Head) -> Self {
        Self { head }
    }

    /// The number after which a read begins: with the last known event once more, so that the two can be compared.
    pub(super) fn read_after(&self) -> u64 {
        self.seq() - u64::from(self.head.last.is_some() && self.seq() > 0)
    }

    /// The number of the last event that was acted on.
    pub(super) fn seq(&self) -> u64 {
        self.head.cursor.seq
    }

    /// An event arrived and was acted on.
    pub(super) fn on_event(&mut self, cursor: Cursor, id: EventId) -> Arrival {
        let ours = self.head.cursor;
        if cursor.epoch != ours.epoch {
            return Arrival::Foreign;
        }
        if cursor.seq == ours.seq + 1 {
            self.head = Head { cursor, last: Some(id) };
            return Arrival::InOrder;
        }
        if cursor.seq > ours.seq {
            return Arrival::Early;
        }
        let is_other = cursor.seq == ours.seq && self.head.last.is_some_and(|last| last != id);
        if is_other { Arrival::Foreign } else { Arrival::InOrder }
    }

    /// Compares with the store's head, which was read after the last event that arrived.
    pub(super) fn compare(&self, store: Head) -> Standing {
        let ours = self.head.cursor;
        if store.cursor.epoch != ours.epoch || store.cursor.seq < ours.seq {
            return Standing::Foreign;
        }
        if store.cursor.seq > ours.seq {
            return Standing::Behind;
        }
        match (store.last, self.head.last) {
            (Some(theirs), Some(known)) if theirs != known => Standing::Foreign,
            _ => Standing::Reached,
        }
    }

    /// Takes a page of events without holes that was read after [`ControlState::read_after`], or after [`ControlState::seq`].
    pub(super) fn take(&mut self, page: &[Heard]) -> Taken {
        let ours = self.head;
        let first = match page.first() {
            Some((cursor, id)) if cursor.seq == ours.cursor.seq && Some(*id) == ours.last => 1,
            Some((cursor, _)) if cursor.seq == ours.cursor.seq + 1 => 0,
            _ => return Taken::Hole,
        };
        // Deletion takes them in any order: the known one may be all that is left.
        if page.len() == first {
            return Taken::Hole;
        }
        if page.iter().any(|(cursor, _)| cursor.epoch != ours.cursor.epoch) {
            return Taken::Hole;
        }
        if let Some((cursor, id)) = page.last() {
            self.head = Head { cursor: *cursor, last: Some(*id) };
        }
        Taken::From(first)
    }
}

/// The position and the id of an event.
pub(super) type Heard = (Cursor, EventId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cursor::Epoch;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(7), seq)
    }

    fn id(n: u128) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn head(seq: u64) -> Head {
        Head { cursor: at(seq), last: Some(id(seq.into())) }
    }

    #[test]
    fn an_event_moves_the_position_only_when_it_is_the_next_one() {
        let mut state = ControlState::at(head(4));
        assert_eq!(state.on_event(at(6), id(6)), Arrival::Early);
        assert_eq!(state.seq(), 4);
        assert_eq!(state.on_event(at(5), id(5)), Arrival::InOrder);
        assert_eq!(state.on_event(at(5), id(5)), Arrival::InOrder, "known");
        assert_eq!(state.on_event(at(2), id(9)), Arrival::InOrder, "too old to compare");
        assert_eq!(state.on_event(at(5), id(9)), Arrival::Foreign, "another event at the same position");
        assert_eq!(state.on_event(Cursor::new(Epoch::new(8), 6), id(6)), Arrival::Foreign);
        assert_eq!(state.seq(), 5);
    }

    #[test]
    fn a_store_that_is_another_history_is_told_from_one_that_is_ahead() {
        let state = ControlState::at(head(4));
        assert_eq!(state.compare(head(4)), Standing::Reached);
        assert_eq!(state.compare(Head { cursor: at(4), last: None }), Standing::Reached, "kept no longer");
        assert_eq!(state.compare(head(9)), Standing::Behind);
        assert_eq!(state.compare(head(3)), Standing::Foreign);
        assert_eq!(state.compare(Head { cursor: at(4), last: Some(id(99)) }), Standing::Foreign);
        let other = Head { cursor: Cursor::new(Epoch::new(8), 9), last: None };
        assert_eq!(state.compare(other), Standing::Foreign);
    }

    #[test]
    fn a_page_counts_from_the_known_event_on_and_one_with_a_hole_before_it_does_not() {
        let page = |from: u64, to: u64| (from..=to).map(|seq| (at(seq), id(seq.into()))).collect::<Vec<_>>();
        for (before, page, expected, after) in [
            (head(4), page(4, 6), Taken::From(1), 6),
            (head(4), page(5, 6), Taken::From(0), 6),
            (head(4), page(6, 8), Taken::Hole, 4),
            (head(4), vec![], Taken::Hole, 4),
            (head(4), page(4, 4), Taken::Hole, 4),
            (head(4), vec![(at(4), id(99)), (at(5), id(5))], Taken::Hole, 4),
            (Head { cursor: at(4), last: None }, page(5, 5), Taken::From(0), 5),
            (Head { cursor: at(0), last: None }, page(1, 2), Taken::From(0), 2),
        ] {
            let mut state = ControlState::at(before);
            assert_eq!(state.take(&page), expected, "{page:?}");
            assert_eq!(state.seq(), after, "{page:?}");
        }
    }

    proptest! {
        /// Events are heard in any order, some never; the store is read now and then.
        #[test]
        fn every_event_is_heard_or_read_whatever_is_lost(
            told in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..4), 1..60),
        ) {
            let mut state = ControlState::at(Head { cursor: at(0), last: None });
            let (mut acted, mut waiting) = (std::collections::BTreeSet::new(), Vec::new());
            let count = told.len() as u64;
            let look = |state: &mut ControlState, acted: &mut std::collections::BTreeSet<u64>, head_seq: u64| {
                while state.compare(head(head_seq)) == Standing::Behind {
                    let page: Vec<Heard> =
                        (state.read_after() + 1..=head_seq).take(3).map(|s| (at(s), id(s.into()))).collect();
                    let Taken::From(first) = state.take(&page) else { panic!("nothing was deleted") };
                    acted.extend(page[first..].iter().map(|(cursor, _)| cursor.seq));
                }
                prop_assert_eq!(state.compare(head(head_seq)), Standing::Reached);
                Ok(())
            };
            for (seq, (lost, read, late)) in (1..).zip(told) {
                if !lost { waiting.push((seq + late, seq)); }
                waiting.sort_unstable();
                while waiting.first().is_some_and(|(due, _)| *due <= seq) {
                    let (_, heard) = waiting.remove(0);
                    prop_assert_ne!(state.on_event(at(heard), id(heard.into())), Arrival::Foreign);
                    acted.insert(heard);
                }
                if read { look(&mut state, &mut acted, seq)?; }
            }
            look(&mut state, &mut acted, count)?;
            prop_assert_eq!(acted, (1..=count).collect());
        }
    }
}
