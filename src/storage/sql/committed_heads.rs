//! The positions this node was told are committed: what a database that takes the place of another has to have as well.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::cursor::Cursor;
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::protocol::event::RoomEvent;

/// Rooms of one generation; two are kept, some 5 MiB in all when both are full.
const ROOMS: usize = 32_768;

/// The longest a generation lasts. A room that was silent for two of them is forgotten: a copy that lacks its last event
/// lacks those of the others as well, and what retention deletes is never taken for lost.
const LASTS: Duration = Duration::from_secs(12 * 3600);

/// The last event of a room, by position and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommittedHead {
    pub(super) cursor: Cursor,
    pub(super) event: EventId,
}

/// The last acknowledged position of each room written to lately, shared by all lanes of the node. Bounded by rooms and
/// by time; the rooms written to least recently go first.
#[derive(Debug, Default)]
pub(super) struct CommittedHeads(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<RoomId, CommittedHead>,
    old: HashMap<RoomId, CommittedHead>,
    began: Option<Instant>,
}

impl CommittedHeads {
    /// Remembers the events of a commit that has been answered.
    pub(super) fn record(&self, events: &[RoomEvent], now: Instant) {
        if !events.is_empty() {
            self.with(|generations| generations.record(events, now));
        }
    }

    /// Every position that is remembered, in the order of the rooms.
    pub(super) fn all(&self, now: Instant) -> Vec<(RoomId, CommittedHead)> {
        let mut all: Vec<_> = self.with(|generations| {
            generations.turn_if_due(now, 0);
            let old = generations.old.iter().filter(|(room, _)| !generations.young.contains_key(room));
            old.chain(&generations.young).map(|(room, position)| (*room, *position)).collect()
        });
        all.sort_unstable_by_key(|(room, _)| *room);
        all
    }

    /// Forgets positions of a history that has ended, unless the room has gone on meanwhile.
    pub(super) fn forget(&self, positions: &[(RoomId, CommittedHead)]) {
        self.with(|generations| {
            for (room, position) in positions {
                for map in [&mut generations.young, &mut generations.old] {
                    if map.get(room) == Some(position) {
                        map.remove(room);
                    }
                }
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn record(&mut self, events: &[RoomEvent], now: Instant) {
        for event in events {
            self.turn_if_due(now, 1);
            let (cursor, position) = (event.cursor, CommittedHead { cursor: event.cursor, event: event.id });
            let known = self.young.entry(event.room).or_insert(position);
            // Two lanes answer in whatever order; within an epoch the higher number is the later one.
            if known.cursor.epoch != cursor.epoch || known.cursor.seq < cursor.seq {
                *known = position;
            }
        }
    }

    fn turn_if_due(&mut self, now: Instant, more: usize) {
        let began = *self.began.get_or_insert(now);
        let periods = now.saturating_duration_since(began).as_secs() / LASTS.as_secs();
        if periods == 0 && self.young.len() + more <= ROOMS {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if periods > 1 {
            self.old = HashMap::new();
        }
        self.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::event::EventType;
    use crate::domain::ids::OrderId;
    use crate::domain::time::Timestamp;
    use crate::protocol::event::EventData;

    fn room(n: u128) -> RoomId {
        RoomId::Order(OrderId::from_uuid(uuid::Uuid::from_u128(n)))
    }

    fn event(n: u128, epoch: u32, seq: u64) -> RoomEvent {
        RoomEvent {
            room: room(n),
            cursor: Cursor::new(Epoch::new(epoch), seq),
            id: EventId::generate(),
            kind: EventType::OrderCreated.into(),
            at: Timestamp::default(),
            data: EventData::empty(),
        }
    }

    fn seqs(known: &CommittedHeads, now: Instant) -> Vec<u64> {
        known.all(now).into_iter().map(|(_, position)| position.cursor.seq).collect()
    }

    #[test]
    fn the_highest_number_of_each_room_is_kept_whatever_the_order_of_answers() {
        let (known, now) = (CommittedHeads::default(), Instant::now());
        known.record(&[event(1, 7, 1), event(2, 7, 9), event(1, 7, 2)], now);
        known.record(&[event(1, 7, 1), event(2, 8, 4)], now);
        assert_eq!(seqs(&known, now), [2, 4], "another epoch counts anew");
    }

    #[test]
    fn what_a_room_went_on_with_is_not_forgotten_with_what_it_had() {
        let (known, now) = (CommittedHeads::default(), Instant::now());
        known.record(&[event(1, 7, 1), event(2, 7, 1)], now);
        let before = known.all(now);
        known.record(&[event(2, 8, 2)], now);
        known.forget(&before);
        assert_eq!(seqs(&known, now), [2]);
    }

    #[test]
    fn rooms_are_bounded_in_number_and_time_and_the_latest_stay() {
        let (known, now) = (CommittedHeads::default(), Instant::now());
        let rooms = 3 * ROOMS as u128;
        for n in 0..rooms {
            known.record(&[event(n, 7, 1)], now);
        }
        let all = known.all(now);
        assert!((ROOMS..=2 * ROOMS).contains(&all.len()), "{}", all.len());
        assert!(
            (rooms - ROOMS as u128..rooms).all(|n| all.binary_search_by_key(&room(n), |(r, _)| *r).is_ok())
        );
        known.record(&[event(rooms, 7, 1)], now + LASTS);
        assert!(known.all(now + LASTS).len() <= ROOMS + 1);
        assert_eq!(known.all(now + 3 * LASTS).len(), 0, "nobody wrote for longer than two generations");
    }
}
