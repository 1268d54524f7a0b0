//! Share of the acknowledgements of devices that one transaction stores.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::authorization;
use crate::domain::cursor::Epoch;
use crate::domain::room::RoomId;
use crate::storage::commands::{AckScope, ScopedAck};

/// Stored position of each device in each room.
pub(super) type Known = BTreeMap<(RoomId, String), (Epoch, u64)>;

/// Events one acknowledgement is about at most: more than a device catches up without acknowledging.
const MAX_REACH: u64 = 10_000;

/// Devices, in rooms, whose acknowledgements are stored in part only.
#[derive(Debug, Default)]
pub(in crate::storage::sql::transaction) struct Left<'a>(BTreeSet<(RoomId, &'a str)>);

impl Left<'_> {
    /// Whether something of these is left.
    pub(in crate::storage::sql::transaction) fn has_any_of(&self, acks: &[ScopedAck]) -> bool {
        !self.0.is_empty() && acks.iter().any(|r| self.0.contains(&(r.ack.room, r.ack.device.as_str())))
    }
}

/// Events that a device has for the first time: those after one number, up to another.
#[derive(Debug)]
pub(super) struct Span<'a> {
    pub(super) received: &'a ScopedAck,
    pub(super) after: u64,
    pub(super) upto: u64,
}

/// Acknowledgements that one transaction stores.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) spans: Vec<Span<'a>>,
    /// One for each device and room, with how far it comes.
    pub(super) positions: Vec<(&'a ScopedAck, u64)>,
    pub(super) left: Left<'a>,
}

/// Rooms and devices that `acks` name, each once, where events are acknowledged one by one.
pub(super) fn devices_of_businesses<'a>(acks: &[&'a ScopedAck]) -> impl Iterator<Item = (RoomId, &'a str)> {
    let of_businesses = acks.iter().filter(|received| is_of_business(received));
    let devices: BTreeSet<_> = of_businesses.map(|r| (r.ack.room, r.ack.device.as_str())).collect();
    devices.into_iter()
}

/// As many of `acks` as are about no more than `budget` events together, those about few first, so that a device that was away
/// for long holds nobody up; the last one in part. A position never says more than was stored of its events.
pub(super) fn plan<'a>(acks: &[&'a ScopedAck], known: &Known, budget: u64) -> Plan<'a> {
    let mut plan = Plan { spans: Vec::new(), positions: Vec::new(), left: Left::default() };
    let mut devices: Vec<Device<'a>> = by_device(acks, known);
    devices.sort_by_key(Device::events);
    let mut budget = budget;
    for device in devices {
        let mut position = None;
        for span in device.spans {
            let (received, events) = (span.received, span.upto - span.after);
            if events <= budget {
                budget -= events;
                position = Some(further(position, (received, received.ack.cursor.seq)));
                plan.spans.extend((events > 0).then_some(span));
                continue;
            }
            plan.left.0.insert((received.ack.room, received.ack.device.as_str()));
            if budget > 0 {
                let upto = span.after + budget;
                budget = 0;
                position = Some(further(position, (received, upto)));
                plan.spans.push(Span { upto, ..span });
            }
            break;
        }
        plan.positions.extend(position);
    }
    plan.positions.sort_by(|(a, _), (b, _)| (a.ack.room, &a.ack.device).cmp(&(b.ack.room, &b.ack.device)));
    plan
}

/// The position that says more; of two epochs the later one. Spans come by where they begin, so that everything up to it that
/// one of those to come is about has been stored.
fn further<'a>(known: Option<(&'a ScopedAck, u64)>, new: (&'a ScopedAck, u64)) -> (&'a ScopedAck, u64) {
    let same = |known: &(&ScopedAck, u64)| known.0.ack.cursor.epoch == new.0.ack.cursor.epoch;
    known.filter(|known| same(known) && known.1 > new.1).unwrap_or(new)
}

/// Acknowledgements of one device in one room: the newest epoch last, and within it by their start.
struct Device<'a> {
    spans: Vec<Span<'a>>,
}

impl Device<'_> {
    fn events(&self) -> u64 {
        self.spans.iter().map(|span| span.upto - span.after).sum()
    }
}

fn by_device<'a>(acks: &[&'a ScopedAck], known: &Known) -> Vec<Device<'a>> {
    // Of one device and reach the one that says most; of two epochs the later one in `acks`.
    let mut furthest: BTreeMap<(RoomId, &'a str, AckScope), &'a ScopedAck> = BTreeMap::new();
    let mut newest: BTreeMap<(RoomId, &'a str), &'a ScopedAck> = BTreeMap::new();
    for received in acks.iter().copied() {
        let (room, device) = (received.ack.room, received.ack.device.as_str());
        let last = furthest.entry((room, device, received.reach)).or_insert(received);
        let (cursor, before) = (received.ack.cursor, last.ack.cursor);
        if cursor.epoch != before.epoch || cursor.seq > before.seq {
            *last = received;
        }
        newest.insert((room, device), received);
    }
    let mut devices: BTreeMap<(RoomId, &'a str), Device<'a>> = BTreeMap::new();
    for ((room, device, _), received) in furthest {
        let spans = &mut devices.entry((room, device)).or_insert(Device { spans: Vec::new() }).spans;
        spans.push(span(received, known));
    }
    for (key, device) in &mut devices {
        let last = newest.get(key).map(|received| received.ack.cursor.epoch);
        device.spans.sort_by_key(|span| (Some(span.received.ack.cursor.epoch) == last, span.after));
    }
    devices.into_values().collect()
}

/// New part of an acknowledgement; empty where events are not acknowledged one by one.
fn span<'a>(received: &'a ScopedAck, known: &Known) -> Span<'a> {
    let ack = &received.ack;
    let upto = ack.cursor.seq;
    if !is_of_business(received) {
        return Span { received, after: upto, upto };
    }
    let known = known.get(&(ack.room, ack.device.clone())).copied();
    let said = known.filter(|(epoch, _)| *epoch == ack.cursor.epoch).map(|(_, seq)| seq);
    let after = match received.reach {
        AckScope::After(since) => said.unwrap_or(0).max(since),
        AckScope::Resumed(since) => said.unwrap_or(since),
    };
    Span { received, after: after.max(upto.saturating_sub(MAX_REACH)).min(upto), upto }
}

/// Whether it is the word of a device of the business: it says of each order that it has arrived there.
fn is_of_business(received: &ScopedAck) -> bool {
    matches!(received.ack.room, RoomId::Business(_)) && authorization::is_of_business(received.role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::access::Role;
    use crate::domain::cursor::{Cursor, Epoch};
    use crate::domain::ids::{BusinessId, UserId};
    use crate::domain::time::Timestamp;
    use crate::storage::commands::DeviceAck;

    fn acks(room: RoomId, said: &[(u8, u64, bool, u64)]) -> Vec<ScopedAck> {
        let user = UserId::generate();
        said.iter()
            .map(|(device, since, resumed, seq)| ScopedAck {
                ack: DeviceAck {
                    room,
                    device: format!("till-{device}"),
                    user,
                    cursor: Cursor::new(Epoch::new(7), *seq),
                    at: Timestamp::default(),
                },
                reach: if *resumed { AckScope::Resumed(*since) } else { AckScope::After(*since) },
                role: Role::Merchant,
            })
            .collect()
    }

    /// Runs plans until nothing is left, and gives the events that each device was said to have, and how far each came.
    fn all(acks: &[ScopedAck], budget: u64) -> (BTreeSet<(String, u64)>, Known, usize) {
        let refs: Vec<&ScopedAck> = acks.iter().collect();
        let (mut events, mut known) = (BTreeSet::new(), Known::new());
        for round in 1.. {
            let Plan { spans, positions, left } = plan(&refs, &known, budget);
            assert!(spans.iter().map(|span| span.upto - span.after).sum::<u64>() <= budget);
            for span in spans {
                let device = &span.received.ack.device;
                events.extend((span.after + 1..=span.upto).map(|seq| (device.clone(), seq)));
            }
            for (received, seq) in positions {
                let ack = &received.ack;
                let position = known.entry((ack.room, ack.device.clone())).or_insert((ack.cursor.epoch, 0));
                position.1 = position.1.max(seq);
            }
            if !left.has_any_of(acks) {
                return (events, known, round);
            }
        }
        unreachable!("there is always a next round")
    }

    #[test]
    fn those_about_few_events_do_not_wait_for_those_about_many() {
        let room = RoomId::Business(BusinessId::generate());
        let said = acks(room, &[(1, 0, false, 5_000), (2, 40, false, 42)]);
        let refs: Vec<&ScopedAck> = said.iter().collect();
        let Plan { positions, left, .. } = plan(&refs, &Known::new(), 1_000);
        let reached: BTreeMap<_, _> =
            positions.iter().map(|(received, seq)| (received.ack.device.as_str(), *seq)).collect();
        assert_eq!(reached, BTreeMap::from([("till-1", 998), ("till-2", 42)]));
        assert!(left.has_any_of(&said[..1]) && !left.has_any_of(&said[1..]));
    }

    proptest! {
        #[test]
        fn in_pieces_all_events_are_stored_that_are_stored_at_once(
            said in prop::collection::vec((0u8..3, 0u64..60, any::<bool>(), 0u64..60), 0..8),
            budget in 1u64..20,
        ) {
            let said = acks(RoomId::Business(BusinessId::generate()), &said);
            let (at_once, known_at_once, rounds) = all(&said, 1_000_000);
            prop_assert_eq!(rounds, 1);
            let (in_pieces, known, _) = all(&said, budget);
            prop_assert!(in_pieces.is_superset(&at_once), "{:?}", at_once.difference(&in_pieces));
            // A socket that went on by a cursor of its own also has what lies between that and what was stored before.
            if said.iter().all(|received| matches!(received.reach, AckScope::After(_))) {
                prop_assert_eq!(in_pieces, at_once);
            }
            prop_assert_eq!(known, known_at_once);
        }
    }
}
