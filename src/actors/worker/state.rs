//! The pure state of a worker thread: its subscribers, their rooms, and the acknowledgements that wait for the next flush.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::domain::access::Principal;
use crate::domain::room::RoomId;

use super::ack_buffer::AckBuffer;
use super::drain::{Departures, DrainPlan};
use super::subscriber::{CloseNotice, Subscriber, SubscriberKey};

/// A subscriber of a room.
pub(super) type RoomMember = (SubscriberKey, Rc<dyn Subscriber>);

/// Every subscriber of one thread. A room without subscribers here takes no memory.
#[derive(Default)]
pub(super) struct WorkerState {
    pub(super) acks: AckBuffer,
    next_key: SubscriberKey,
    subscribers: HashMap<SubscriberKey, Rc<dyn Subscriber>>,
    rooms: HashMap<RoomId, Vec<RoomMember>>,
    /// The node goes down, and these clients are told so.
    departures: Option<Departures>,
}

impl WorkerState {
    /// Adds a subscriber; one that comes while the node goes down is closed at once.
    pub(super) fn add(&mut self, subscriber: Rc<dyn Subscriber>) -> SubscriberKey {
        let key = self.next_key;
        self.next_key += 1;
        if self.departures.is_some() {
            subscriber.close(CloseNotice::restart(Duration::ZERO));
        }
        self.subscribers.insert(key, subscriber);
        key
    }

    /// Subscribes to a room; a second time changes nothing.
    pub(super) fn subscribe(&mut self, room: RoomId, key: SubscriberKey) {
        let Some(subscriber) = self.subscribers.get(&key) else { return };
        let members = self.rooms.entry(room).or_default();
        if !members.iter().any(|(k, _)| *k == key) {
            members.push((key, subscriber.clone()));
        }
    }

    /// Unsubscribes from a room; whether that was the room's last subscriber here.
    pub(super) fn unsubscribe(&mut self, room: RoomId, key: SubscriberKey) -> bool {
        let Some(members) = self.rooms.get_mut(&room) else { return false };
        if let Some(index) = members.iter().position(|(k, _)| *k == key) {
            members.swap_remove(index);
        }
        let last_member = members.is_empty();
        if last_member {
            self.rooms.remove(&room);
        }
        last_member
    }

    /// Removes a subscriber from the thread and its rooms; returns the rooms without subscribers here.
    pub(super) fn remove(&mut self, key: SubscriberKey, rooms: impl Iterator<Item = RoomId>) -> Vec<RoomId> {
        let emptied = rooms.filter(|room| self.unsubscribe(*room, key)).collect();
        self.subscribers.remove(&key);
        emptied
    }

    /// The subscribers of a room, `None` when there are none.
    pub(super) fn members(&self, room: RoomId) -> Option<&[RoomMember]> {
        self.rooms.get(&room).map(Vec::as_slice)
    }

    pub(super) fn subscribers(&self) -> impl Iterator<Item = &dyn Subscriber> {
        self.subscribers.values().map(Rc::as_ref)
    }

    /// Rooms with subscribers here.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.rooms.keys().copied().collect()
    }

    /// Whoever has an open subscriber, once for each subscriber.
    pub(super) fn connected(&self) -> Vec<Principal> {
        self.subscribers().map(|subscriber| subscriber.principal()).collect()
    }

    /// The node goes down: new subscribers are closed from now on, the others by [`WorkerState::tell_departing`].
    pub(super) fn restart(&mut self, plan: DrainPlan) {
        self.departures = Some(Departures::new(plan, self.subscribers.keys().copied()));
    }

    /// Closes the subscribers whose moment has come when so much of the drain has passed; whether those were the last.
    pub(super) fn tell_departing(&mut self, elapsed: Duration) -> bool {
        let Some(departures) = &mut self.departures else { return true };
        while let Some((key, after)) = departures.next(elapsed) {
            // One that has gone by itself needs no word.
            if let Some(subscriber) = self.subscribers.get(&key) {
                subscriber.close(CloseNotice::restart(after));
            }
        }
        departures.are_over()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::actors::room::live_event::LiveEvent;
    use crate::actors::worker::subscriber::Delivered;
    use crate::domain::access::Role;
    use crate::domain::cursor::Cursor;
    use crate::domain::ids::{BusinessId, LoginSessionId, UserId};

    /// A client that remembers how it was closed.
    struct Client {
        principal: Principal,
        closed: RefCell<Vec<CloseNotice>>,
    }

    impl Subscriber for Client {
        fn principal(&self) -> Principal {
            self.principal
        }

        fn deliver(&self, _: RoomId, _: &LiveEvent, _: bool) -> Delivered {
            Delivered::Ignored
        }

        fn set_head(&self, _: RoomId, _: Cursor) {}

        fn close(&self, notice: CloseNotice) {
            self.closed.borrow_mut().push(notice);
        }

        fn recheck_access(&self) {}
    }

    fn client() -> Rc<Client> {
        let principal =
            Principal { user: UserId::generate(), session: LoginSessionId::generate(), role: Role::Merchant };
        Rc::new(Client { principal, closed: RefCell::default() })
    }

    fn room() -> RoomId {
        RoomId::Business(BusinessId::generate())
    }

    #[test]
    fn only_the_last_subscriber_of_a_room_empties_it() {
        let (mut state, room) = (WorkerState::default(), room());
        let (one, two) = (state.add(client()), state.add(client()));
        state.subscribe(room, one);
        state.subscribe(room, one);
        state.subscribe(room, two);
        assert_eq!(state.members(room).map(<[RoomMember]>::len), Some(2), "each of them once");
        assert!(!state.unsubscribe(room, one));
        assert!(!state.unsubscribe(room, one), "it had left");
        assert!(state.unsubscribe(room, two));
        assert!(state.members(room).is_none() && state.rooms().is_empty());
    }

    #[test]
    fn a_subscriber_that_goes_leaves_its_rooms_and_tells_which_are_empty() {
        let (mut state, shared, own) = (WorkerState::default(), room(), room());
        let (leaving, staying) = (state.add(client()), state.add(client()));
        for (room, key) in [(shared, leaving), (shared, staying), (own, leaving)] {
            state.subscribe(room, key);
        }
        assert_eq!(state.remove(leaving, [shared, own].into_iter()), [own]);
        assert_eq!((state.rooms(), state.connected().len()), (vec![shared], 1));
        state.subscribe(own, leaving);
        assert!(state.members(own).is_none(), "it is gone");
    }

    #[test]
    fn clients_of_a_node_that_goes_down_are_served_until_their_moment_and_new_ones_are_not() {
        let (mut state, clients) = (WorkerState::default(), [client(), client(), client()]);
        let keys = clients.clone().map(|client| state.add(client));
        state.remove(keys[2], std::iter::empty());
        let told = || clients.iter().map(|client| client.closed.borrow().len()).sum::<usize>();
        let plan = DrainPlan { spread: Duration::from_secs(4), told_within: Duration::from_secs(4) };
        state.restart(plan);
        assert!(!state.tell_departing(Duration::from_secs(0)));
        assert_eq!(told(), 0);
        let late = client();
        state.add(late.clone());
        assert_eq!(late.closed.take(), [CloseNotice::restart(Duration::ZERO)]);
        assert!(!state.tell_departing(Duration::from_secs(2)));
        assert_eq!(told(), 1);
        state.remove(keys[0], std::iter::empty());
        state.remove(keys[1], std::iter::empty());
        assert!(state.tell_departing(Duration::from_secs(4)), "nobody is left to be told");
        assert_eq!(told(), 1);
    }
}
