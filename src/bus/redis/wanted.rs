//! The rooms that are wanted, compared with those that Redis was asked for: subscriptions hang and are forgotten while Redis is away,
//! so what is wanted is kept here and asked for again. Pure.

use std::collections::HashSet;

use crate::domain::room::RoomId;

/// Rooms wanted and rooms asked for, each as many as the node has rooms in use.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    wanted: HashSet<RoomId>,
    /// Asked for on the present connection.
    asked: HashSet<RoomId>,
    joining: HashSet<RoomId>,
    leaving: HashSet<RoomId>,
    /// Asked for and not confirmed.
    unconfirmed: usize,
}

impl Wanted {
    /// Whether something is to be asked for.
    pub(super) fn want(&mut self, room: RoomId) -> bool {
        self.leaving.remove(&room);
        self.wanted.insert(room) && !self.asked.contains(&room) && self.joining.insert(room)
    }

    pub(super) fn release(&mut self, room: RoomId) {
        self.wanted.remove(&room);
        self.joining.remove(&room);
        if self.asked.contains(&room) {
            self.leaving.insert(room);
        }
    }

    pub(super) fn is_wanted(&self, room: &RoomId) -> bool {
        self.wanted.contains(room)
    }

    /// Whether Redis was asked for the room, and not to end it.
    pub(super) fn is_asked(&self, room: &RoomId) -> bool {
        self.asked.contains(room)
    }

    /// Rooms to subscribe to now, at most `limit`; to be followed by [`Wanted::confirmed`].
    pub(super) fn take_joining(&mut self, limit: usize) -> Vec<RoomId> {
        let rooms: Vec<RoomId> = self.joining.iter().copied().take(limit).collect();
        for room in &rooms {
            self.joining.remove(room);
            self.asked.insert(*room);
        }
        self.unconfirmed += rooms.len();
        rooms
    }

    /// Redis has confirmed what was taken.
    pub(super) fn confirmed(&mut self, rooms: usize) {
        self.unconfirmed = self.unconfirmed.saturating_sub(rooms);
    }

    /// Rooms to leave now, at most `limit`.
    pub(super) fn take_leaving(&mut self, limit: usize) -> Vec<RoomId> {
        let rooms: Vec<RoomId> = self.leaving.iter().copied().take(limit).collect();
        for room in &rooms {
            self.leaving.remove(room);
            self.asked.remove(room);
        }
        rooms
    }

    /// A connection begins or has ended: nothing is subscribed on it. Whether anything is wanted.
    pub(super) fn restart(&mut self) -> bool {
        self.asked.clear();
        self.leaving.clear();
        self.joining.clone_from(&self.wanted);
        self.unconfirmed = 0;
        !self.wanted.is_empty()
    }

    /// Whether everything that is wanted is subscribed.
    pub(super) fn is_settled(&self) -> bool {
        self.joining.is_empty() && self.unconfirmed == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::BusinessId;

    fn room(number: u8) -> RoomId {
        RoomId::Business(BusinessId::from_uuid(uuid::Uuid::from_u128(number.into())))
    }

    proptest! {
        /// Whatever happens in which order, what Redis has is in the end what is wanted.
        #[test]
        fn what_redis_has_follows_what_is_wanted(steps in proptest::collection::vec((0_u8..6, 0_u8..5), 0..200)) {
            let (mut wanted, mut model, mut redis) = (Wanted::default(), HashSet::new(), HashSet::new());
            for (step, number) in steps {
                match step {
                    0 | 1 => { wanted.want(room(number)); model.insert(room(number)); }
                    2 => { wanted.release(room(number)); model.remove(&room(number)); }
                    3 => { let taken = wanted.take_joining(2); wanted.confirmed(taken.len()); redis.extend(taken); }
                    4 => wanted.take_leaving(2).iter().for_each(|room| { redis.remove(room); }),
                    _ => { prop_assert_eq!(wanted.restart(), !model.is_empty()); redis.clear(); }
                }
                prop_assert!((0..5).all(|number| wanted.is_wanted(&room(number)) == model.contains(&room(number))));
                prop_assert!((0..5).all(|number| wanted.is_asked(&room(number)) == redis.contains(&room(number))));
            }
            let taken = wanted.take_joining(9);
            wanted.confirmed(taken.len());
            redis.extend(taken);
            wanted.take_leaving(9).iter().for_each(|room| { redis.remove(room); });
            prop_assert!(wanted.is_settled());
            prop_assert_eq!(redis, model);
        }
    }
}
