//! A room gives each event once, in order, and asks for what it lacks.

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
fn after_a_loss_one_look_is_enough_to_repair() {
    let mut room = room(5, 100);
    assert_eq!(room.on_loss(at(5)).repair, None, "nothing is missing");
    assert_eq!(room.on_loss(at(6)).repair, Some(Repair::Now));
    room.on_event(event(EPOCH, 6));
    assert_eq!(room.on_loss(at(4)).repair, None, "the look is older");
    assert_eq!(room.on_loss(Head { cursor: Cursor::new(EPOCH.another(9), 3), last: None }).identity, None);
    assert_eq!(room.head(), Cursor::new(EPOCH.another(9), 3));
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
    assert_eq!(room.on_event(event_with(EPOCH, 8, other(8))).identity, LOST_OTHER, "also of one that waits");
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
    assert_eq!(room.on_watermark(at(3)).identity, None, "the look may have begun before the last commits");
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
