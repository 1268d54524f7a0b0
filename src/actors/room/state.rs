//! The mind of a room: which event comes next, what is missing, who is told, and whether the store is still the one it
//! knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::actors::settings::RoomSettings;
use crate::domain::cursor::{Cursor, Head};
use crate::domain::ids::EventId;

use super::memory::{Reserved, RoomMemory, cost};
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
    /// Look whether the store is an older copy, or know that it is.
    pub(super) identity: Option<Identity>,
}

/// How urgent reading from the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// What is missing may be on its way: look again in a moment.
    Soon,
    /// It will not come by itself.
    Now,
}

/// What a room thinks of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Two looks in a row showed less than was known before: read the head once more, and answer with
    /// [`RoomState::compared`].
    Doubted,
    /// It is an older copy: the room needs a new epoch. Nothing more of this one is delivered.
    Lost(Loss),
}

/// How it was found out that the store is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It ends before what was committed.
    StoreBehind,
    /// Another event has the same position.
    OtherEvent,
}

impl Loss {
    /// The word in the metric.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::StoreBehind => "store_behind",
            Self::OtherEvent => "other_event",
        }
    }
}

/// A room's position with the event at it, its ring, and what came too early.
#[derive(Debug)]
pub(super) struct RoomState {
    head: Head,
    ring: Ring,
    early: BTreeMap<u64, (Published, Reserved)>,
    memory: Arc<RoomMemory>,
    /// The store was seen to have this much.
    store_head: u64,
    /// The head when the store was first seen to end before it.
    doubted: Option<u64>,
    /// The store turned out to be an older copy, until the room has its new epoch.
    lost: Option<Loss>,
}

impl RoomState {
    pub(super) fn new(head: Head, settings: &RoomSettings, memory: Arc<RoomMemory>) -> Self {
        Self {
            head,
            ring: Ring::new(settings.ring_events, settings.ring_bytes, memory.clone()),
            early: BTreeMap::new(),
            memory,
            store_head: head.cursor.seq,
            doubted: None,
            lost: None,
        }
    }

    pub(super) const fn head(&self) -> Cursor {
        self.head.cursor
    }

    /// What still has to be done about a store that is an older copy.
    pub(super) const fn lost(&self) -> Option<Loss> {
        self.lost
    }

    /// After which number to read what is missing: the last event known is read again, to be compared, where its id is
    /// known.
    pub(super) fn repair_after(&self) -> u64 {
        self.head.cursor.seq - u64::from(self.head.last.is_some() && self.head.cursor.seq > 0)
    }

    /// Takes an event from a writer of this node, from the bus or from the store. Known ones change nothing.
    pub(super) fn hear(&mut self, published: Published) -> Effects {
        let (cursor, id) = (published.event.cursor, published.event.id);
        if cursor.epoch != self.head.cursor.epoch {
            let before = Head { cursor: Cursor::new(cursor.epoch, cursor.seq - 1), last: None };
            return self.change_epoch(before, Some(published));
        }
        if self.lost.is_some() {
            return Effects::default();
        }
        let known = match self.early.get(&cursor.seq) {
            Some((early, _)) => Some(early.event.id),
            None if cursor.seq <= self.head.cursor.seq => self.id_at(cursor.seq),
            None => None,
        };
        if known.is_some_and(|known| known != id) {
            return self.lose(Loss::OtherEvent);
        }
        let mut effects = Effects::default();
        if cursor.seq <= self.head.cursor.seq {
            return effects;
        }
        if cursor.seq == self.head.cursor.seq + 1 {
            self.append(published, &mut effects);
            while let Some((next, _)) = self.early.remove(&(self.head.cursor.seq + 1)) {
                self.append(next, &mut effects);
            }
        } else if known.is_none() {
            match self.memory.reserve(cost(&published)) {
                Some(reserved) => drop(self.early.insert(cursor.seq, (published, reserved))),
                None => effects.repair = Some(Repair::Now),
            }
        }
        if self.early.len() > MAX_EARLY {
            // The newest are the cheapest to read again.
            self.early.pop_last();
            effects.repair = Some(Repair::Now);
        } else if !self.early.is_empty() {
            effects.repair = effects.repair.or(Some(Repair::Soon));
        }
        effects
    }

    fn append(&mut self, next: Published, effects: &mut Effects) {
        self.head = Head { cursor: next.event.cursor, last: Some(next.event.id) };
        self.ring.push(next.clone());
        effects.deliver.push(next);
    }

    fn id_at(&self, seq: u64) -> Option<EventId> {
        if seq == self.head.cursor.seq { self.head.last } else { self.ring.id_at(seq) }
    }

    /// The store's head of this room. Behind it for a second look in a row means that a doorbell was lost; before it for
    /// a second look, that the store may be an older copy.
    pub(super) fn watermark(&mut self, store: Head) -> Effects {
        if store.cursor.epoch != self.head.cursor.epoch {
            return self.change_epoch(store, None);
        }
        if self.lost.is_some() {
            return Effects::default();
        }
        let (seq, ours) = (store.cursor.seq, self.head.cursor.seq);
        if let (Some(theirs), Some(known)) = (store.last, self.id_at(seq))
            && theirs != known
        {
            return self.lose(Loss::OtherEvent);
        }
        let missed = ours < self.store_head.min(seq);
        self.store_head = seq;
        let mut effects = Effects { repair: missed.then_some(Repair::Now), ..Effects::default() };
        if seq >= ours {
            self.doubted = None;
        } else if self.doubted.is_some_and(|doubted| seq < doubted) {
            effects.identity = Some(Identity::Doubted);
        } else {
            // What was committed since the look began is above it.
            self.doubted = Some(ours);
        }
        effects
    }

    /// The store's head, read after this room stood at `before`: a store that does not have that has lost it.
    pub(super) fn compared(&mut self, before: Cursor, store: Head) -> Effects {
        let same_epoch = before.epoch == self.head.cursor.epoch && store.cursor.epoch == before.epoch;
        if same_epoch && self.lost.is_none() && store.cursor.seq < before.seq {
            return self.lose(Loss::StoreBehind);
        }
        self.watermark(store)
    }

    fn lose(&mut self, loss: Loss) -> Effects {
        self.lost = Some(loss);
        Effects { identity: Some(Identity::Lost(loss)), ..Effects::default() }
    }

    /// Whether something before what is known is still missing.
    pub(super) fn is_behind(&self) -> bool {
        self.lost.is_none() && (!self.early.is_empty() || self.head.cursor.seq < self.store_head)
    }

    /// Up to `limit` events after `after`, or where to find them.
    pub(super) fn history(&self, after: Cursor, limit: usize) -> History {
        let head = self.head.cursor;
        if after.epoch != head.epoch || after.seq > head.seq {
            return History::Gone(head);
        }
        if after.seq == head.seq {
            return History::Events(Vec::new());
        }
        match self.ring.after(after.seq, limit) {
            Lookup::Events(events) => History::Events(events),
            Lookup::TooOld => History::InStore(head),
        }
    }

    /// The store goes on in another history: nothing known holds any more.
    fn change_epoch(&mut self, head: Head, next: Option<Published>) -> Effects {
        self.head = head;
        self.store_head = head.cursor.seq;
        self.doubted = None;
        self.lost = None;
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
        event_with(epoch, seq, id(seq))
    }

    /// The event a sound store has at this position.
    fn id(seq: u64) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(seq.into()))
    }

    fn other(seq: u64) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(u128::MAX - u128::from(seq)))
    }

    fn event_with(epoch: Epoch, seq: u64, id: EventId) -> Published {
        let event = RoomEvent {
            room: RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())),
            cursor: Cursor::new(epoch, seq),
            id,
            kind: EventType::OrderCreated.into(),
            at: Timestamp::default(),
            data: EventData::empty(),
        };
        Published { event: EncodedEvent::new(&event), committed_at: Some(Instant::now()) }
    }

    fn room(head: u64, ring_events: usize) -> RoomState {
        let settings = RoomSettings { ring_events, ..RoomSettings::default() };
        RoomState::new(at(head), &settings, memory(1 << 20))
    }

    fn memory(bytes: usize) -> Arc<RoomMemory> {
        Arc::new(RoomMemory::new(bytes))
    }

    /// A store that ends here without saying with what.
    fn at(seq: u64) -> Head {
        Head { cursor: Cursor::new(EPOCH, seq), last: None }
    }

    fn with(seq: u64, last: EventId) -> Head {
        Head { last: Some(last), ..at(seq) }
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
        assert_eq!(room.watermark(at(6)).repair, None, "its event may be on its way");
        assert_eq!(room.watermark(at(6)).repair, Some(Repair::Now));
        room.hear(event(EPOCH, 6));
        assert_eq!(room.watermark(at(6)).repair, None);
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

    const LOST_BEHIND: Option<Identity> = Some(Identity::Lost(Loss::StoreBehind));
    const LOST_OTHER: Option<Identity> = Some(Identity::Lost(Loss::OtherEvent));

    #[test]
    fn another_event_at_a_known_position_is_another_history() {
        for seq in [3, 5] {
            let mut room = room(0, 100);
            for seq in 1..=5 {
                room.hear(event(EPOCH, seq));
            }
            assert_eq!(room.hear(event(EPOCH, seq)).identity, None, "the same one, heard again");
            let effects = room.hear(event_with(EPOCH, seq, other(seq)));
            assert_eq!((effects.identity, effects.deliver.len()), (LOST_OTHER, 0), "{seq}");
            assert_eq!(room.hear(event(EPOCH, 6)).deliver.len(), 0, "nothing more of the old epoch");
        }
        let mut room = room(5, 100);
        room.hear(event(EPOCH, 8));
        assert_eq!(room.hear(event_with(EPOCH, 8, other(8))).identity, LOST_OTHER, "also of one that waits");
    }

    #[test]
    fn another_event_at_the_stores_head_is_another_history() {
        let mut room = room(0, 100);
        for seq in 1..=5 {
            room.hear(event(EPOCH, seq));
        }
        assert_eq!(room.watermark(with(5, id(5))).identity, None);
        assert_eq!(room.watermark(with(4, id(4))).identity, None, "an old look");
        assert_eq!(room.watermark(with(3, other(3))).identity, LOST_OTHER);
    }

    #[test]
    fn a_gap_is_read_with_the_event_before_it_to_compare_the_two() {
        let mut room = RoomState::new(with(5, id(5)), &RoomSettings::default(), memory(1 << 20));
        room.watermark(at(9));
        assert_eq!((room.watermark(at(9)).repair, room.repair_after()), (Some(Repair::Now), 4));
        assert_eq!(room.hear(event_with(EPOCH, 5, other(5))).identity, LOST_OTHER);
        assert!(!room.is_behind(), "nothing is read from a store that is another");
        assert_eq!(RoomState::new(at(5), &RoomSettings::default(), memory(0)).repair_after(), 5);
    }

    #[test]
    fn a_store_that_ends_before_the_head_for_two_looks_is_asked_and_then_lost() {
        let mut room = room(5, 100);
        assert_eq!(room.watermark(at(3)).identity, None, "the look may have begun before the last commits");
        assert_eq!(room.watermark(at(3)).identity, Some(Identity::Doubted));
        let effects = room.compared(room.head(), at(3));
        assert_eq!((effects.identity, room.lost()), (LOST_BEHIND, Some(Loss::StoreBehind)));
        let new = Epoch::new(2);
        room.watermark(Head { cursor: Cursor::new(new, 3), last: None });
        assert_eq!((room.head(), room.lost()), (Cursor::new(new, 3), None));
        assert_eq!(seqs(&room.hear(event(new, 4)).deliver), [4]);
    }

    #[test]
    fn looks_that_are_late_by_some_commits_doubt_nothing() {
        let mut room = room(0, 100);
        for seq in 1..100 {
            room.hear(event(EPOCH, seq));
            assert_eq!(room.watermark(with(seq - 1, id(seq - 1))).identity, None);
        }
        // And a doubt that was wrong is settled by the store itself.
        assert_eq!(room.watermark(at(50)).identity, Some(Identity::Doubted));
        assert_eq!(room.compared(Cursor::new(EPOCH, 99), at(99)).identity, None);
        assert_eq!(room.lost(), None);
    }

    #[test]
    fn all_rings_share_one_budget_and_the_one_read_least_recently_gives_way() {
        let memory = memory(64 * 1024);
        let new = || RoomState::new(at(0), &RoomSettings::default(), memory.clone());
        let mut rooms: Vec<RoomState> = (0..20).map(|_| new()).collect();
        let old = Cursor::new(EPOCH, 0);
        for seq in 1..=40 {
            for room in &mut rooms {
                room.hear(event(EPOCH, seq));
                assert!(memory.used() <= 64 * 1024, "{}", memory.used());
            }
            // The first room is read all the time.
            let kept = rooms[0].history(old, 99);
            assert!(matches!(kept, History::Events(e) if e.len() == usize::try_from(seq).unwrap()), "{seq}");
        }
        let from_store = rooms.iter().filter(|room| matches!(room.history(old, 99), History::InStore(_)));
        assert!(from_store.count() > 10, "the others had to give way");
        drop(rooms);
        assert_eq!(memory.used(), 0, "a room that ends gives back what it held");
    }

    #[test]
    fn events_that_came_too_early_are_of_the_budget_too() {
        let memory = memory(1000);
        let mut room = RoomState::new(at(0), &RoomSettings::default(), memory.clone());
        let repairs: Vec<_> = (2..20).map(|seq| room.hear(event(EPOCH, seq)).repair).collect();
        assert!(memory.used() <= 1000 && room.early.len() < 6, "{} {}", memory.used(), room.early.len());
        assert_eq!((repairs[0], repairs[17]), (Some(Repair::Soon), Some(Repair::Now)), "the store has them");
        for seq in 1..20 {
            room.hear(event(EPOCH, seq));
        }
        assert_eq!((room.head().seq, room.early.len()), (19, 0));
    }

    proptest! {
        /// Looks come late by any number of commits, as they do when a room's mailbox is long.
        #[test]
        fn a_sound_store_is_never_taken_for_another(steps in prop::collection::vec((0u64..4, 0u64..30), 1..60)) {
            let mut room = room(0, 10);
            let mut head = 0;
            for (commits, late) in steps {
                for _ in 0..commits {
                    head += 1;
                    prop_assert_eq!(room.hear(event(EPOCH, head)).identity, None);
                }
                let seen = head.saturating_sub(late);
                let effects = room.watermark(with(seen, id(seen)));
                prop_assert!(!matches!(effects.identity, Some(Identity::Lost(_))));
                if effects.identity == Some(Identity::Doubted) {
                    prop_assert_eq!(room.compared(Cursor::new(EPOCH, head), with(head, id(head))).identity, None);
                }
            }
        }
    }
}
