//! Ephemeral events of one client that has to take something else first: the latest of each subject. Pure.

use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::worker::queued_bytes::QueuedBytes;

/// Most ephemeral events held for one client.
const MAX: usize = 16;

/// At most [`MAX`] events, each of another room, type or subject. One word of memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct HeldEphemerals(Option<Box<Held>>);

#[derive(Debug, Default)]
struct Held {
    events: Vec<(RoomId, EncodedEphemeral)>,
    bytes: QueuedBytes,
}

impl HeldEphemerals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Holds an event, in the place of an older one about the same. When there is no place, the event that is dropped first by
    /// its type goes, the oldest of several.
    pub(super) fn hold(&mut self, room: RoomId, event: &EncodedEphemeral) {
        let held = self.0.get_or_insert_default();
        let same = |(other, known): &(RoomId, EncodedEphemeral)| {
            *other == room && known.kind == event.kind && known.subject == event.subject
        };
        if let Some(index) = held.events.iter().position(same) {
            held.remove(index);
        } else if held.events.len() == MAX {
            let first = held.events.iter().enumerate().min_by_key(|(_, (_, known))| known.kind);
            match first.map(|(index, (_, known))| (index, known.kind)) {
                Some((index, kind)) if kind <= event.kind => held.remove(index),
                _ => return,
            }
        }
        held.bytes.add(event.frame().len());
        held.events.push((room, event.clone()));
    }

    /// Takes all of them, the oldest first.
    pub(super) fn take(&mut self) -> Vec<EncodedEphemeral> {
        let held = self.0.take().map(|held| held.events).unwrap_or_default();
        held.into_iter().map(|(_, event)| event).collect()
    }

    /// Forgets what is held of a room that the client leaves.
    pub(super) fn forget(&mut self, room: RoomId) {
        if let Some(held) = &mut self.0 {
            while let Some(index) = held.events.iter().position(|(other, _)| *other == room) {
                held.remove(index);
            }
            if held.events.is_empty() {
                self.0 = None;
            }
        }
    }
}

impl Held {
    fn remove(&mut self, index: usize) {
        let (_, event) = self.events.remove(index);
        self.bytes.sub(event.frame().len());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ephemeral::EphemeralType;
    use crate::domain::ids::BusinessId;
    use crate::domain::time::Timestamp;
    use crate::protocol::ephemeral::EphemeralEvent;
    use crate::protocol::event::EventData;

    fn room(n: u128) -> RoomId {
        RoomId::Business(BusinessId::from_uuid(Uuid::from_u128(n)))
    }

    fn event(kind: EphemeralType, subject: u128, seconds: i64) -> EncodedEphemeral {
        EncodedEphemeral::new(&EphemeralEvent {
            room: room(1),
            kind,
            subject: Uuid::from_u128(subject),
            at: Timestamp::from_unix_seconds(seconds),
            data: EventData::empty(),
        })
    }

    fn subjects(held: &mut HeldEphemerals) -> Vec<u128> {
        held.take().iter().map(|event| event.subject.as_u128()).collect()
    }

    #[test]
    fn a_newer_event_about_the_same_takes_the_place_of_the_older_one() {
        let mut held = HeldEphemerals::default();
        for (subject, seconds) in [(1, 10), (2, 11), (1, 12)] {
            held.hold(room(1), &event(EphemeralType::OrderRing, subject, seconds));
        }
        held.hold(room(1), &event(EphemeralType::Presence, 1, 13));
        held.hold(room(2), &event(EphemeralType::OrderRing, 1, 14));
        let newest = event(EphemeralType::OrderRing, 1, 12).json();
        let taken = held.take();
        assert_eq!(taken.iter().map(|e| e.subject.as_u128()).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert_eq!(taken[1].json(), newest);
        assert!(held.is_empty());
    }

    #[test]
    fn positions_make_place_for_rings_and_rings_for_newer_rings_only() {
        let mut held = HeldEphemerals::default();
        let before = QueuedBytes::of_thread();
        for subject in 0..MAX as u128 {
            held.hold(room(1), &event(EphemeralType::OrderRing, subject, 0));
        }
        held.hold(room(1), &event(EphemeralType::DriverLocation, 99, 0));
        held.hold(room(1), &event(EphemeralType::OrderRing, 100, 0));
        let expected: Vec<u128> = (1..MAX as u128).chain([100]).collect();
        assert_eq!(subjects(&mut held), expected, "the oldest ring went, the position never came in");
        held.hold(room(1), &event(EphemeralType::DriverLocation, 99, 0));
        for subject in 0..MAX as u128 {
            held.hold(room(1), &event(EphemeralType::OrderRing, subject, 0));
        }
        assert_eq!(subjects(&mut held), (0..MAX as u128).collect::<Vec<_>>(), "the position went");
        assert_eq!(QueuedBytes::of_thread(), before, "nothing is counted any more");
    }

    #[test]
    fn what_is_held_of_a_room_goes_with_it() {
        let mut held = HeldEphemerals::default();
        held.hold(room(1), &event(EphemeralType::OrderRing, 1, 0));
        held.hold(room(2), &event(EphemeralType::OrderRing, 2, 0));
        held.forget(room(1));
        assert_eq!(subjects(&mut held), [2]);
        held.forget(room(2));
        assert!(held.is_empty());
    }
}
