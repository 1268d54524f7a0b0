//! The mind of a room: which event comes next, what is missing, who is told.

use std::collections::BTreeMap;

use crate::actors::settings::RoomSettings;
use crate::domain::cursor::Cursor;

use super::ring::{Lookup, Ring};
use super::{History, Published};

/// Events that came too early wait here for those before them; beyond this many the store is asked at once.
const MAX_EARLY: usize = 64;

/// What a room does after it heard something.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Send these to every worker with members, in order.
    pub(super) deliver: Vec<Published>,
    /// Read what comes after the head from the store, now or soon.
    pub(super) repair: Option<Repair>,
}

/// How urgent reading from the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// What is missing may be on its way: look again in a moment.
    Soon,
    /// It will not come by itself.
    Now,
}

/// A room's position, its ring, and what came too early.
#[derive(Debug)]
pub(super) struct RoomState {
    head: Cursor,
    ring: Ring,
    early: BTreeMap<u64, Published>,
    /// The store was seen to have this much.
    store_head: u64,
}

impl RoomState {
    pub(super) fn new(head: Cursor, settings: &RoomSettings) -> Self {
        Self {
            head,
            ring: Ring::new(settings.ring_events, settings.ring_bytes),
            early: BTreeMap::new(),
            store_head: head.seq,
        }
    }

    pub(super) const fn head(&self) -> Cursor {
        self.head
    }

    /// Takes an event from a writer of this node, from the bus or from the store. Known ones change nothing.
    pub(super) fn hear(&mut self, published: Published) -> Effects {
        let cursor = published.event.cursor;
        if cursor.epoch != self.head.epoch {
            return self.change_epoch(Cursor::new(cursor.epoch, cursor.seq - 1), Some(published));
        }
        let mut effects = Effects::default();
        if cursor.seq <= self.head.seq {
            return effects;
        }
        self.early.insert(cursor.seq, published);
        while let Some(next) = self.early.remove(&(self.head.seq + 1)) {
            self.head.seq += 1;
            self.ring.push(next.clone());
            effects.deliver.push(next);
        }
        if self.early.len() > MAX_EARLY {
            // The newest are the cheapest to read again.
            self.early.pop_last();
            effects.repair = Some(Repair::Now);
        } else if !self.early.is_empty() {
            effects.repair = Some(Repair::Soon);
        }
        effects
    }

    /// The store's head of this room. Behind it for a second look in a row means that a doorbell was lost.
    pub(super) fn watermark(&mut self, store: Cursor) -> Effects {
        if store.epoch != self.head.epoch {
            return self.change_epoch(store, None);
        }
        let lost = self.head.seq < self.store_head.min(store.seq);
        self.store_head = store.seq;
        Effects { deliver: Vec::new(), repair: lost.then_some(Repair::Now) }
    }

    /// Whether something before what is known is still missing.
    pub(super) fn is_behind(&self) -> bool {
        !self.early.is_empty() || self.head.seq < self.store_head
    }

    /// Up to `limit` events after `after`, or where to find them.
    pub(super) fn history(&self, after: Cursor, limit: usize) -> History {
        if after.epoch != self.head.epoch || after.seq > self.head.seq {
            return History::Gone(self.head);
        }
        if after.seq == self.head.seq {
            return History::Events(Vec::new());
        }
        match self.ring.after(after.seq, limit) {
            Lookup::Events(events) => History::Events(events),
            Lookup::TooOld => History::InStore(self.head),
        }
    }

    /// The store goes on in another history: nothing known holds any more.
    fn change_epoch(&mut self, head: Cursor, next: Option<Published>) -> Effects {
        self.head = head;
        self.store_head = head.seq;
        self.ring.clear();
        self.early.clear();
        match next {
            Some(published) => self.hear(published),
            None => Effects::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::event::EventType;
    use crate::domain::ids::{BusinessId, EventId};
    use crate::domain::room::RoomId;
    use crate::domain::time::Timestamp;
    use crate::protocol::event::{EncodedEvent, EventData, RoomEvent};

    const EPOCH: Epoch = Epoch::new(1);

    fn event(epoch: Epoch, seq: u64) -> Published {
        let event = RoomEvent {
            room: RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())),
            cursor: Cursor::new(epoch, seq),
            id: EventId::from_uuid(uuid::Uuid::nil()),
            kind: EventType::OrderCreated.into(),
            at: Timestamp::default(),
            data: EventData::empty(),
        };
        Published { event: EncodedEvent::new(&event), committed_at: Some(Instant::now()) }
    }

    fn room(head: u64, ring_events: usize) -> RoomState {
        let settings = RoomSettings { ring_events, ..RoomSettings::default() };
        RoomState::new(Cursor::new(EPOCH, head), &settings)
    }

    fn seqs(events: &[Published]) -> Vec<u64> {
        events.iter().map(|e| e.event.cursor.seq).collect()
    }

    proptest! {
        #[test]
        fn events_in_any_order_and_number_are_delivered_once_and_in_order(
            order in Just((1u64..=40).collect::<Vec<_>>()).prop_shuffle(), again in prop::collection::vec(1u64..=40, 0..20),
        ) {
            let mut room = room(0, 100);
            let mut delivered = Vec::new();
            for seq in order.into_iter().chain(again) {
                delivered.extend(seqs(&room.hear(event(EPOCH, seq)).deliver));
            }
            prop_assert_eq!(delivered, (1..=40).collect::<Vec<_>>());
            prop_assert!(!room.is_behind());
        }
    }

    #[test]
    fn a_gap_is_waited_for_a_moment_and_then_read_from_the_store() {
        let mut room = room(5, 100);
        let effects = room.hear(event(EPOCH, 7));
        assert!(effects.deliver.is_empty());
        assert_eq!(effects.repair, Some(Repair::Soon));
        assert_eq!(seqs(&room.hear(event(EPOCH, 6)).deliver), [6, 7]);
    }

    #[test]
    fn what_comes_too_early_is_bounded() {
        let mut room = room(0, 100);
        let last = (2..200).map(|seq| room.hear(event(EPOCH, seq)).repair).last().flatten();
        assert_eq!(last, Some(Repair::Now));
        assert!(room.early.len() <= MAX_EARLY);
        let delivered: Vec<u64> =
            (1..200).flat_map(|seq| seqs(&room.hear(event(EPOCH, seq)).deliver)).collect();
        assert_eq!(delivered, (1..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_watermark_ahead_twice_in_a_row_is_a_lost_doorbell() {
        let mut room = room(5, 100);
        assert_eq!(room.watermark(Cursor::new(EPOCH, 6)).repair, None, "its event may be on its way");
        assert_eq!(room.watermark(Cursor::new(EPOCH, 6)).repair, Some(Repair::Now));
        room.hear(event(EPOCH, 6));
        assert_eq!(room.watermark(Cursor::new(EPOCH, 6)).repair, None);
    }

    #[test]
    fn another_epoch_forgets_what_was_known() {
        let mut room = room(5, 100);
        room.hear(event(EPOCH, 6));
        let new = Epoch::new(2);
        assert_eq!(seqs(&room.hear(event(new, 3)).deliver), [3]);
        assert_eq!(room.head(), Cursor::new(new, 3));
        assert!(matches!(room.history(Cursor::new(EPOCH, 6), 10), History::Gone(_)));
    }

    #[test]
    fn history_comes_from_the_ring_as_far_back_as_it_goes() {
        let mut room = room(0, 10);
        for seq in 1..=20 {
            room.hear(event(EPOCH, seq));
        }
        let at = |seq| Cursor::new(EPOCH, seq);
        assert!(matches!(room.history(at(20), 99), History::Events(e) if e.is_empty()));
        assert!(
            matches!(room.history(at(10), 99), History::Events(e) if seqs(&e) == (11..=20).collect::<Vec<_>>())
        );
        assert!(matches!(room.history(at(10), 3), History::Events(e) if seqs(&e) == [11, 12, 13]));
        assert!(matches!(room.history(at(9), 99), History::InStore(_)));
        assert!(matches!(room.history(at(21), 99), History::Gone(_)));
    }

    #[test]
    fn a_room_that_has_just_started_sends_those_who_ask_for_history_to_the_store() {
        let room = room(5, 10);
        assert!(matches!(room.history(Cursor::new(EPOCH, 4), 99), History::InStore(_)));
        assert!(matches!(room.history(Cursor::new(EPOCH, 5), 99), History::Events(e) if e.is_empty()));
    }
}
