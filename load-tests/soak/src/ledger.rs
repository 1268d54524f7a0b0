//! Ledger of a run: every event by its cursor, every order by its key. It does no input or output.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bellhop_client::Arrival;
use serde_json::Value;

/// Faults that are named; the others are counted.
const NAMED: usize = 20;

/// An order that was acknowledged.
#[derive(Clone, Debug)]
struct Record {
    business: usize,
    key: String,
}

/// Everything that is counted in a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Events seen once.
    pub(crate) heard: u64,
    pub(crate) repeated: u64,
    pub(crate) missed: u64,
    pub(crate) resyncs: u64,
    /// Orders that were acknowledged, by id.
    orders: HashMap<String, Record>,
    /// Their keys: a second order for a key is a doubled one.
    keys: HashMap<String, String>,
    doubled: u64,
    faults: u64,
    named: VecDeque<String>,
    /// Counts of finished activities, by their name on the page.
    done: BTreeMap<&'static str, u64>,
}

/// Faults of orders found at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) acknowledged: u64,
    /// Not in the lists, or not at an end.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
}

impl Ledger {
    /// An event or a hello came.
    pub(crate) fn count(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Next => self.heard += 1,
            Arrival::Repeated => self.repeated += 1,
            Arrival::Missed(_) => self.missed += 1,
        }
    }

    /// A customer got 201 for the order with this key.
    pub(crate) fn placed(&mut self, business: usize, key: &str, id: &str) {
        let first = self.keys.entry(key.to_owned()).or_insert_with(|| id.to_owned());
        if first != id {
            self.doubled += 1;
        }
        self.orders.insert(id.to_owned(), Record { business, key: key.to_owned() });
    }

    /// Number of acknowledged orders.
    pub(crate) fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Something went otherwise than it should.
    pub(crate) fn fault(&mut self, what: String) {
        self.faults += 1;
        if self.named.len() == NAMED {
            self.named.pop_front();
        }
        self.named.push_back(what);
    }

    /// Number of faults, and the last of them.
    pub(crate) fn faults(&self) -> (u64, impl Iterator<Item = &str>) {
        (self.faults, self.named.iter().map(String::as_str))
    }

    /// One more of what is called this.
    pub(crate) fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// Counts of finished activities, by their name on the page.
    pub(crate) fn done(&self) -> &BTreeMap<&'static str, u64> {
        &self.done
    }

    /// Compares the acknowledged orders with everything the hub lists: business, then its orders.
    pub(crate) fn audit(&self, listed: &[(usize, Value)]) -> Audit {
        let mut audit =
            Audit { acknowledged: self.orders.len() as u64, doubled: self.doubled, ..Audit::default() };
        let mut found: HashMap<&str, u32> = HashMap::new();
        let mut by_key: HashMap<&str, u32> = HashMap::new();
        for (business, order) in listed {
            let (id, key) =
                (order["id"].as_str().unwrap_or_default(), order["notes"].as_str().unwrap_or_default());
            *by_key.entry(key).or_default() += 1;
            let ended = matches!(order["status"].as_str(), Some("delivered" | "cancelled" | "rejected"));
            let known = self.orders.get(id).is_some_and(|r| r.business == *business && r.key == key);
            if ended && known {
                *found.entry(id).or_default() += 1;
            }
        }
        audit.lost = self.orders.keys().filter(|id| found.get(id.as_str()) != Some(&1)).count() as u64;
        audit.doubled += by_key.values().map(|count| u64::from(count - 1)).sum::<u64>();
        audit
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_that_is_not_listed_at_its_end_is_lost_and_a_second_one_for_a_key_is_doubled() {
        let mut ledger = Ledger::default();
        for (key, id) in [("k1", "ord_1"), ("k2", "ord_2"), ("k3", "ord_3"), ("k1", "ord_1")] {
            ledger.placed(0, key, id);
        }
        let order =
            |id: &str, key: &str, status: &str| (0, json!({"id": id, "notes": key, "status": status}));
        let mut listed = vec![order("ord_1", "k1", "delivered"), order("ord_2", "k2", "ready")];
        assert_eq!(ledger.audit(&listed), Audit { acknowledged: 3, lost: 2, doubled: 0 });
        listed.push(order("ord_3", "k3", "cancelled"));
        listed.push(order("ord_4", "k3", "cancelled"));
        assert_eq!(ledger.audit(&listed), Audit { acknowledged: 3, lost: 1, doubled: 1 });
        ledger.placed(0, "k1", "ord_5");
        assert_eq!(ledger.audit(&listed).doubled, 2);
    }
}
