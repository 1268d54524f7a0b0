//! What clients were told and what the store holds, and every way in which the two may not agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// A customer was answered with an order.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) key: String,
    pub(crate) order: String,
    /// The order the key was answered with when it was asked again after the last crash.
    pub(crate) again: String,
}

/// An event as one device got it.
#[derive(Clone, Debug)]
pub(crate) struct SeenEvent {
    pub(crate) seq: u64,
    pub(crate) order: String,
}

/// All that one device took in, in the order it came, without what it had seen before.
#[derive(Clone, Debug)]
pub(crate) struct DeviceLog {
    pub(crate) name: String,
    pub(crate) business: String,
    pub(crate) events: Vec<SeenEvent>,
}

/// An order in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredOrder {
    pub(crate) id: String,
    pub(crate) business: String,
    pub(crate) number: String,
}

/// A room in the store: where its sequence stands, and the numbers its events have, in order.
#[derive(Clone, Debug)]
pub(crate) struct StoredRoom {
    pub(crate) room: String,
    pub(crate) head: u64,
    pub(crate) seqs: Vec<u64>,
}

/// Everything that was seen of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) devices: Vec<DeviceLog>,
    pub(crate) orders: Vec<StoredOrder>,
    pub(crate) rooms: Vec<StoredRoom>,
}

/// A promise that was broken, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    Lost { key: String, order: String },
    TwoKeysOneOrder { order: String, keys: Vec<String> },
    AnsweredDifferently { key: String, first: String, again: String },
    NobodyAsked { order: String, business: String },
    NumberTwice { business: String, number: String, orders: Vec<String> },
    HoleInRoom { room: String, head: u64, missing: Vec<u64> },
    NumberedTwice { room: String, seq: u64 },
    OutOfOrder { device: String, after: u64, got: u64 },
    EventMissing { device: String, order: String },
    EventTwice { device: String, order: String },
    EventOfNoOrder { device: String, seq: u64, order: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl History {
    /// Every promise that was broken; empty is what a run has to show.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut found = self.of_orders();
        found.extend(self.of_rooms());
        found.extend(self.devices.iter().flat_map(|device| self.of_device(device)));
        found
    }

    fn of_orders(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let stored: BTreeSet<&str> = self.orders.iter().map(|o| o.id.as_str()).collect();
        let mut by_order: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for told in &self.acknowledged {
            by_order.entry(&told.order).or_default().push(told.key.clone());
            if !stored.contains(told.order.as_str()) {
                found.push(Violation::Lost { key: told.key.clone(), order: told.order.clone() });
            }
            if told.again != told.order {
                found.push(Violation::AnsweredDifferently {
                    key: told.key.clone(),
                    first: told.order.clone(),
                    again: told.again.clone(),
                });
            }
        }
        for (order, keys) in &by_order {
            if keys.len() > 1 {
                found.push(Violation::TwoKeysOneOrder { order: (*order).to_owned(), keys: keys.clone() });
            }
        }
        let mut numbers: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for order in &self.orders {
            numbers.entry((&order.business, &order.number)).or_default().push(order.id.clone());
            // Every key was asked until it was answered, so that an order without an answer was made twice.
            if !by_order.contains_key(order.id.as_str()) {
                found.push(Violation::NobodyAsked {
                    order: order.id.clone(),
                    business: order.business.clone(),
                });
            }
        }
        for ((business, number), orders) in numbers {
            if orders.len() > 1 {
                let (business, number) = (business.to_owned(), number.to_owned());
                found.push(Violation::NumberTwice { business, number, orders });
            }
        }
        found
    }

    fn of_rooms(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for room in &self.rooms {
            for pair in room.seqs.windows(2).filter(|pair| pair[0] == pair[1]) {
                found.push(Violation::NumberedTwice { room: room.room.clone(), seq: pair[0] });
            }
            let there: BTreeSet<u64> = room.seqs.iter().copied().collect();
            let last = there.last().copied().unwrap_or_default().max(room.head);
            let missing: Vec<u64> = (1..=last).filter(|seq| !there.contains(seq)).collect();
            if !missing.is_empty() || last != room.head {
                found.push(Violation::HoleInRoom { room: room.room.clone(), head: room.head, missing });
            }
        }
        found
    }

    fn of_device(&self, device: &DeviceLog) -> Vec<Violation> {
        let mut found = Vec::new();
        let name = || device.name.clone();
        let mut after = 0;
        let mut times: HashMap<&str, usize> = HashMap::new();
        for event in &device.events {
            if event.seq != after + 1 {
                found.push(Violation::OutOfOrder { device: name(), after, got: event.seq });
            }
            after = event.seq;
            *times.entry(&event.order).or_default() += 1;
        }
        for order in self.orders.iter().filter(|o| o.business == device.business) {
            match times.remove(order.id.as_str()) {
                Some(1) => {}
                None => found.push(Violation::EventMissing { device: name(), order: order.id.clone() }),
                Some(_) => found.push(Violation::EventTwice { device: name(), order: order.id.clone() }),
            }
        }
        for event in device.events.iter().filter(|e| times.contains_key(e.order.as_str())) {
            found.push(Violation::EventOfNoOrder {
                device: name(),
                seq: event.seq,
                order: event.order.clone(),
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> History {
        let order = |n: u64| StoredOrder { id: format!("o{n}"), business: "b".into(), number: n.to_string() };
        let told =
            |n: u64| Acknowledged { key: format!("k{n}"), order: format!("o{n}"), again: format!("o{n}") };
        let seen = |n: u64| SeenEvent { seq: n, order: format!("o{n}") };
        History {
            acknowledged: (1..=3).map(told).collect(),
            devices: vec![DeviceLog {
                name: "d".into(),
                business: "b".into(),
                events: (1..=3).map(seen).collect(),
            }],
            orders: (1..=3).map(order).collect(),
            rooms: vec![StoredRoom { room: "business:b".into(), head: 3, seqs: vec![1, 2, 3] }],
        }
    }

    fn broken_by(change: impl FnOnce(&mut History)) -> Vec<Violation> {
        let mut history = whole();
        change(&mut history);
        history.violations()
    }

    #[test]
    fn a_whole_history_has_no_violations() {
        assert_eq!(whole().violations(), []);
    }

    #[test]
    fn each_broken_promise_is_named() {
        let lost = broken_by(|h| drop(h.orders.remove(1)));
        assert!(lost.contains(&Violation::Lost { key: "k2".into(), order: "o2".into() }), "{lost:?}");
        let doubled = broken_by(|h| h.acknowledged.truncate(2));
        assert_eq!(doubled, [Violation::NobodyAsked { order: "o3".into(), business: "b".into() }]);
        let shared = broken_by(|h| h.acknowledged[0].order = "o2".into());
        assert!(shared.contains(&Violation::TwoKeysOneOrder {
            order: "o2".into(),
            keys: vec!["k1".into(), "k2".into()]
        }));
        let (first, again) = ("o1".into(), "o9".into());
        let changed = broken_by(|h| h.acknowledged[0].again = "o9".into());
        assert_eq!(changed, [Violation::AnsweredDifferently { key: "k1".into(), first, again }]);
        let hole = broken_by(|h| h.rooms[0].seqs = vec![1, 3]);
        assert_eq!(hole, [Violation::HoleInRoom { room: "business:b".into(), head: 3, missing: vec![2] }]);
        let ahead = broken_by(|h| h.rooms[0].seqs.push(4));
        assert_eq!(ahead, [Violation::HoleInRoom { room: "business:b".into(), head: 3, missing: vec![] }]);
        let repeated = broken_by(|h| h.rooms[0].seqs.insert(0, 1));
        assert_eq!(repeated, [Violation::NumberedTwice { room: "business:b".into(), seq: 1 }]);
        let swapped = broken_by(|h| h.devices[0].events.swap(0, 1));
        assert!(swapped.contains(&Violation::OutOfOrder { device: "d".into(), after: 0, got: 2 }));
        let missed = broken_by(|h| h.devices[0].events.truncate(2));
        assert_eq!(missed, [Violation::EventMissing { device: "d".into(), order: "o3".into() }]);
        let stranger = broken_by(|h| h.devices[0].events[2].order = "o9".into());
        assert!(stranger.contains(&Violation::EventOfNoOrder {
            device: "d".into(),
            seq: 3,
            order: "o9".into()
        }));
        let number = broken_by(|h| h.orders[1].number = "1".into());
        assert_eq!(
            number,
            [Violation::NumberTwice {
                business: "b".into(),
                number: "1".into(),
                orders: vec!["o1".into(), "o2".into()]
            }]
        );
    }
}
