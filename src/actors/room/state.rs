//! The pure state of a room: its position, its last events, the events that arrived too early, and the signs that the
//! store is an older copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::cursor::{Cursor, Head};
use crate::domain::ids::EventId;

use super::live_event::{History, LiveEvent};
use super::memory::{BudgetedRing, Reserved, RoomMemory};
use super::ring_buffer::{Lookup, cost};
use super::settings::RoomSettings;

/// Most events that wait for those before them; beyond this many the store is asked at once.
const MAX_REORDERED: usize = 64;

/// Work for the actor after a change of the state.
#[derive(Debug, Default)]
pub(super) struct RoomEffects {
    /// Events for every listener, in order.
    pub(super) deliver: Vec<LiveEvent>,
    /// The events after the head have to be read from the store.
    pub(super) repair: Option<Repair>,
    /// The store may be an older copy, or is one.
    pub(super) identity: Option<Identity>,
}

/// Urgency of a read from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// The missing events may be on their way: look again in a moment.
    Soon,
    /// The missing events will not come by themselves.
    Now,
}

/// Suspicion that the store is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Two looks in a row showed less than was known before: read the head once more, and answer with
    /// [`RoomState::on_compared`].
    Doubted,
    /// It is an older copy: the room needs a new epoch. No event of this epoch is delivered any more.
    Lost(Loss),
}

/// Evidence that the store is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It ends before what was committed.
    StoreBehind,
    /// Another event has the same position.
    OtherEvent,
}

impl Loss {
    /// The label value in the metric.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::StoreBehind => "store_behind",
            Self::OtherEvent => "other_event",
        }
    }
}

/// A room's position with the event at it, its ring, and the events that arrived too early.
#[derive(Debug)]
pub(super) struct RoomState {
    head: Head,
    ring: BudgetedRing,
    reorder_buffer: BTreeMap<u64, (LiveEvent, Reserved)>,
    memory: Arc<RoomMemory>,
    /// The number of the store's last event as of the last look.
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
            ring: BudgetedRing::new(settings.ring_events, settings.ring_bytes, memory.clone()),
            reorder_buffer: BTreeMap::new(),
            memory,
            store_head: head.cursor.seq,
            doubted: None,
            lost: None,
        }
    }

    pub(super) const fn head(&self) -> Cursor {
        self.head.cursor
    }

    /// The evidence, from its finding until the room has its new epoch.
    pub(super) const fn lost(&self) -> Option<Loss> {
        self.lost
    }

    /// The number after which a repair reads. The last known event is read again, so that the two can be compared, where
    /// its id is known.
    pub(super) fn repair_after(&self) -> u64 {
        self.head.cursor.seq - u64::from(self.head.last.is_some() && self.head.cursor.seq > 0)
    }

    /// Takes an event from a writer of this node, from the bus or from the store. Known events change nothing.
    pub(super) fn on_event(&mut self, live: LiveEvent) -> RoomEffects {
        let (cursor, id) = (live.event.cursor, live.event.id);
        if cursor.epoch != self.head.cursor.epoch {
            let before = Head { cursor: Cursor::new(cursor.epoch, cursor.seq - 1), last: None };
            return self.change_epoch(before, Some(live));
        }
        if self.lost.is_some() {
            return RoomEffects::default();
        }
        let known = match self.reorder_buffer.get(&cursor.seq) {
            Some((early, _)) => Some(early.event.id),
            None if cursor.seq <= self.head.cursor.seq => self.id_at(cursor.seq),
            None => None,
        };
        if known.is_some_and(|known| known != id) {
            return self.lose(Loss::OtherEvent);
        }
        let mut effects = RoomEffects::default();
        if cursor.seq <= self.head.cursor.seq {
            return effects;
        }
        if cursor.seq == self.head.cursor.seq + 1 {
            self.append(live, &mut effects);
            while let Some((next, _)) = self.reorder_buffer.remove(&(self.head.cursor.seq + 1)) {
                self.append(next, &mut effects);
            }
        } else if known.is_none() {
            self.keep_early(live, &mut effects);
        }
        if self.reorder_buffer.len() > MAX_REORDERED {
            // The newest are the cheapest to read again.
            self.reorder_buffer.pop_last();
            effects.repair = Some(Repair::Now);
        } else if !self.reorder_buffer.is_empty() {
            effects.repair = effects.repair.or(Some(Repair::Soon));
        }
        effects
    }

    /// Keeps an event until those before it have arrived; without memory for it they are read from the store.
    fn keep_early(&mut self, live: LiveEvent, effects: &mut RoomEffects) {
        match self.memory.reserve(cost(&live)) {
            Some(reserved) => {
                self.reorder_buffer.insert(live.event.cursor.seq, (live, reserved));
            }
            None => effects.repair = Some(Repair::Now),
        }
    }

    fn append(&mut self, next: LiveEvent, effects: &mut RoomEffects) {
        self.head = Head { cursor: next.event.cursor, last: Some(next.event.id) };
        self.ring.push(next.clone());
        effects.deliver.push(next);
    }

    fn id_at(&self, seq: u64) -> Option<EventId> {
        if seq == self.head.cursor.seq { self.head.last } else { self.ring.id_at(seq) }
    }

    /// Takes the store's head of this room. A room that is behind it for a second look in a row has missed an event; a head
    /// that is behind the room for a second look means that the store may be an older copy.
    pub(super) fn on_watermark(&mut self, store: Head) -> RoomEffects {
        if store.cursor.epoch != self.head.cursor.epoch {
            return self.change_epoch(store, None);
        }
        if self.lost.is_some() {
            return RoomEffects::default();
        }
        let (seq, ours) = (store.cursor.seq, self.head.cursor.seq);
        if let (Some(theirs), Some(known)) = (store.last, self.id_at(seq))
            && theirs != known
        {
            return self.lose(Loss::OtherEvent);
        }
        let missed = ours < self.store_head.min(seq);
        self.store_head = seq;
        let mut effects = RoomEffects { repair: missed.then_some(Repair::Now), ..RoomEffects::default() };
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

    /// Takes the store's head, read after this room stood at `before`: a store that ends earlier has lost events.
    pub(super) fn on_compared(&mut self, before: Cursor, store: Head) -> RoomEffects {
        let same_epoch = before.epoch == self.head.cursor.epoch && store.cursor.epoch == before.epoch;
        if same_epoch && self.lost.is_none() && store.cursor.seq < before.seq {
            return self.lose(Loss::StoreBehind);
        }
        self.on_watermark(store)
    }

    fn lose(&mut self, loss: Loss) -> RoomEffects {
        self.lost = Some(loss);
        RoomEffects { identity: Some(Identity::Lost(loss)), ..RoomEffects::default() }
    }

    /// Whether an event before the last known one is still missing.
    pub(super) fn is_behind(&self) -> bool {
        self.lost.is_none() && (!self.reorder_buffer.is_empty() || self.head.cursor.seq < self.store_head)
    }

    /// At most `limit` events after `after`, or where to find them.
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

    /// The store goes on in another epoch: nothing known holds any more.
    fn change_epoch(&mut self, head: Head, next: Option<LiveEvent>) -> RoomEffects {
        self.head = head;
        self.store_head = head.cursor.seq;
        self.doubted = None;
        self.lost = None;
        self.ring.clear();
        self.reorder_buffer.clear();
        match next {
            Some(live) => self.on_event(live),
            None => RoomEffects::default(),
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

    fn event(epoch: Epoch, seq: u64) -> LiveEvent {
        event_with(epoch, seq, id(seq))
    }

    /// The event a sound store has at this position.
    fn id(seq: u64) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(seq.into()))
    }

    fn other(seq: u64) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(u128::MAX - u128::from(seq)))
    }

    fn event_with(epoch: Epoch, seq: u64, id: EventId) -> LiveEvent {
        let event = RoomEvent {
            room: RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())),
            cursor: Cursor::new(epoch, seq),
            id,
            kind: EventType::OrderCreated.into(),
            at: Timestamp::default(),
            data: EventData::empty(),
        };
        LiveEvent { event: EncodedEvent::new(&event), committed_at: Some(Instant::now()) }
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

    fn seqs(events: &[LiveEvent]) -> Vec<u64> {
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
                delivered.extend(seqs(&room.on_event(event(EPOCH, seq)).deliver));
            }
            prop_assert_eq!(delivered, (1..=40).collect::<Vec<_>>());
            prop_assert!(!room.is_behind());
        }
    }

    #[test]
    fn a_gap_is_waited_for_a_moment_and_then_read_from_the_store() {
        let mut room = room(5, 100);
        let effects = room.on_event(event(EPOCH, 7));
        assert!(effects.deliver.is_empty());
        assert_eq!(effects.repair, Some(Repair::Soon));
        assert_eq!(seqs(&room.on_event(event(EPOCH, 6)).deliver), [6, 7]);
    }

    #[test]
    fn what_comes_too_early_is_bounded() {
        let mut room = room(0, 100);
        let last = (2..200).map(|seq| room.on_event(event(EPOCH, seq)).repair).last().flatten();
        assert_eq!(last, Some(Repair::Now));
        assert!(room.reorder_buffer.len() <= MAX_REORDERED);
        let delivered: Vec<u64> =
            (1..200).flat_map(|seq| seqs(&room.on_event(event(EPOCH, seq)).deliver)).collect();
        assert_eq!(delivered, (1..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_watermark_ahead_twice_in_a_row_is_a_lost_doorbell() {
        let mut room = room(5, 100);
        assert_eq!(room.on_watermark(at(6)).repair, None, "its event may be on its way");
        assert_eq!(room.on_watermark(at(6)).repair, Some(Repair::Now));
        room.on_event(event(EPOCH, 6));
        assert_eq!(room.on_watermark(at(6)).repair, None);
    }

    #[test]
    fn another_epoch_forgets_what_was_known() {
        let mut room = room(5, 100);
        room.on_event(event(EPOCH, 6));
        let new = Epoch::new(2);
        assert_eq!(seqs(&room.on_event(event(new, 3)).deliver), [3]);
        assert_eq!(room.head(), Cursor::new(new, 3));
        assert!(matches!(room.history(Cursor::new(EPOCH, 6), 10), History::Gone(_)));
    }

    #[test]
    fn history_comes_from_the_ring_as_far_back_as_it_goes() {
        let mut room = room(0, 10);
        for seq in 1..=20 {
            room.on_event(event(EPOCH, seq));
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
                room.on_event(event(EPOCH, seq));
            }
            assert_eq!(room.on_event(event(EPOCH, seq)).identity, None, "the same one, heard again");
            let effects = room.on_event(event_with(EPOCH, seq, other(seq)));
            assert_eq!((effects.identity, effects.deliver.len()), (LOST_OTHER, 0), "{seq}");
            assert_eq!(room.on_event(event(EPOCH, 6)).deliver.len(), 0, "nothing more of the old epoch");
        }
        let mut room = room(5, 100);
        room.on_event(event(EPOCH, 8));
        assert_eq!(
            room.on_event(event_with(EPOCH, 8, other(8))).identity,
            LOST_OTHER,
            "also of one that waits"
        );
    }

    #[test]
    fn another_event_at_the_stores_head_is_another_history() {
        let mut room = room(0, 100);
        for seq in 1..=5 {
            room.on_event(event(EPOCH, seq));
        }
        assert_eq!(room.on_watermark(with(5, id(5))).identity, None);
        assert_eq!(room.on_watermark(with(4, id(4))).identity, None, "an old look");
        assert_eq!(room.on_watermark(with(3, other(3))).identity, LOST_OTHER);
    }

    #[test]
    fn a_gap_is_read_with_the_event_before_it_to_compare_the_two() {
        let mut room = RoomState::new(with(5, id(5)), &RoomSettings::default(), memory(1 << 20));
        room.on_watermark(at(9));
        assert_eq!((room.on_watermark(at(9)).repair, room.repair_after()), (Some(Repair::Now), 4));
        assert_eq!(room.on_event(event_with(EPOCH, 5, other(5))).identity, LOST_OTHER);
        assert!(!room.is_behind(), "nothing is read from a store that is another");
        assert_eq!(RoomState::new(at(5), &RoomSettings::default(), memory(0)).repair_after(), 5);
    }

    #[test]
    fn a_store_that_ends_before_the_head_for_two_looks_is_asked_and_then_lost() {
        let mut room = room(5, 100);
        assert_eq!(
            room.on_watermark(at(3)).identity,
            None,
            "the look may have begun before the last commits"
        );
        assert_eq!(room.on_watermark(at(3)).identity, Some(Identity::Doubted));
        let effects = room.on_compared(room.head(), at(3));
        assert_eq!((effects.identity, room.lost()), (LOST_BEHIND, Some(Loss::StoreBehind)));
        let new = Epoch::new(2);
        room.on_watermark(Head { cursor: Cursor::new(new, 3), last: None });
        assert_eq!((room.head(), room.lost()), (Cursor::new(new, 3), None));
        assert_eq!(seqs(&room.on_event(event(new, 4)).deliver), [4]);
    }

    #[test]
    fn looks_that_are_late_by_some_commits_doubt_nothing() {
        let mut room = room(0, 100);
        for seq in 1..100 {
            room.on_event(event(EPOCH, seq));
            assert_eq!(room.on_watermark(with(seq - 1, id(seq - 1))).identity, None);
        }
        // And a doubt that was wrong is settled by the store itself.
        assert_eq!(room.on_watermark(at(50)).identity, Some(Identity::Doubted));
        assert_eq!(room.on_compared(Cursor::new(EPOCH, 99), at(99)).identity, None);
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
                room.on_event(event(EPOCH, seq));
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
        let repairs: Vec<_> = (2..20).map(|seq| room.on_event(event(EPOCH, seq)).repair).collect();
        assert!(
            memory.used() <= 1000 && room.reorder_buffer.len() < 6,
            "{} {}",
            memory.used(),
            room.reorder_buffer.len()
        );
        assert_eq!((repairs[0], repairs[17]), (Some(Repair::Soon), Some(Repair::Now)), "the store has them");
        for seq in 1..20 {
            room.on_event(event(EPOCH, seq));
        }
        assert_eq!((room.head().seq, room.reorder_buffer.len()), (19, 0));
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
                    prop_assert_eq!(room.on_event(event(EPOCH, head)).identity, None);
                }
                let seen = head.saturating_sub(late);
                let effects = room.on_watermark(with(seen, id(seen)));
                prop_assert!(!matches!(effects.identity, Some(Identity::Lost(_))));
                if effects.identity == Some(Identity::Doubted) {
                    prop_assert_eq!(room.on_compared(Cursor::new(EPOCH, head), with(head, id(head))).identity, None);
                }
            }
        }
    }
}
