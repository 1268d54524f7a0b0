//! What became of every order: placed, rung, acknowledged, completed; and what must not happen: lost or doubled. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Deserialize;

use crate::domain::ids::OrderId;
use crate::domain::order::{Fulfilment, Status};

/// Devices of each business; every one of them has to ring.
pub(super) const DEVICES: usize = 2;

/// Finished orders remembered for the last check; some 150 bytes each. A run of a day at twenty a second is checked
/// for its last hour and a half.
const MAX_KEPT: usize = 100_000;

/// Orders that may be open at once; customers wait beyond it.
const MAX_OPEN: u64 = 2_000;

/// Orders shown as the latest.
const RECENT: usize = 6;

/// The data of an order's event, as far as devices need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct OrderEvent {
    #[serde(rename = "order_id")]
    pub(super) id: OrderId,
    pub(super) order_number: String,
    pub(super) status: Status,
    pub(super) version: i64,
    pub(super) fulfilment: Fulfilment,
}

/// An order as the hub lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: OrderId,
    /// The number of the order's key, if this run placed it.
    pub(super) key: Option<u64>,
    pub(super) status: Status,
    pub(super) version: i64,
}

/// How many orders came how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Answered with 201.
    pub(super) placed: u64,
    /// Heard by every device of the business.
    pub(super) rung: u64,
    /// Acknowledged by every device of the business.
    pub(super) acked: u64,
    /// In a status that is an end.
    pub(super) completed: u64,
    /// All of it, and every device heard of the end.
    pub(super) settled: u64,
}

/// What went wrong on the way to the hub and was made good: what the demo is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// Times a device's connection ended.
    pub(super) cut: u64,
    /// Times a device came back with its cursor and was let in where it had been.
    pub(super) resumed: u64,
    /// Orders that were sent a second time with the same key.
    pub(super) repeated: u64,
    /// Of them, those answered with the first order.
    pub(super) same: u64,
}

/// Which orders are judged at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// All of them.
    Everything,
    /// Those that had come to their end before the hub was asked for its list; what was open is left.
    These(HashSet<OrderId>),
}

/// What was found wrong at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    /// Orders that were answered with 201 and then missing in the list, not rung or not completed.
    pub(super) lost: u64,
    /// Second orders of one key, and events that a device got twice.
    pub(super) doubled: u64,
    /// Events that a device never got.
    pub(super) missed: u64,
    /// Orders that were open and are not judged.
    pub(super) left: u64,
}

/// How one order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) id: OrderId,
    /// Whether every device of the business heard it, and acknowledged it.
    pub(super) rung: bool,
    pub(super) acked: bool,
    pub(super) number: String,
    pub(super) business: usize,
    pub(super) status: Status,
}

#[derive(Debug)]
struct Record {
    /// Known once a customer of this run got a 201.
    key: Option<u64>,
    business: usize,
    number: String,
    status: Status,
    version: i64,
    taken: Taken,
    rung: [bool; DEVICES],
    acked: [bool; DEVICES],
    seen: [i64; DEVICES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Waiting,
    InHand,
}

impl Record {
    fn stages(&self) -> [bool; 5] {
        if self.key.is_none() {
            return [false; 5];
        }
        let (rung, acked) = (self.rung == [true; DEVICES], self.acked == [true; DEVICES]);
        let completed = self.status.is_end();
        let told = self.seen.iter().all(|seen| *seen >= self.version);
        [true, rung, acked, completed, rung && acked && completed && told]
    }

    fn may_be_forgotten(&self) -> bool {
        self.stages()[4] || (self.key.is_none() && self.status.is_end())
    }
}

/// The books of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Orders before it are not of this run, or were forgotten.
    floor: OrderId,
    orders: BTreeMap<OrderId, Record>,
    keys: HashMap<u64, OrderId>,
    totals: Totals,
    mended: Mended,
    recent: VecDeque<OrderId>,
    second_orders: HashSet<OrderId>,
    repeated: u64,
    missed: u64,
    under_way: u64,
    refused: u64,
    faults: u64,
    last_fault: Option<String>,
}

impl Ledger {
    /// Books of a run whose orders all have ids after `floor`.
    pub(super) fn new(floor: OrderId) -> Self {
        Self {
            floor,
            orders: BTreeMap::new(),
            keys: HashMap::new(),
            totals: Totals::default(),
            mended: Mended::default(),
            recent: VecDeque::with_capacity(RECENT),
            second_orders: HashSet::new(),
            repeated: 0,
            missed: 0,
            under_way: 0,
            refused: 0,
            faults: 0,
            last_fault: None,
        }
    }

    /// A customer sends an order.
    pub(super) fn ask(&mut self) {
        self.under_way += 1;
    }

    /// A customer has an answer, or waits no longer.
    pub(super) fn answered(&mut self) {
        self.under_way -= 1;
    }

    /// Customers that wait for an answer.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way
    }

    /// A customer got 201 for the order with this key.
    pub(super) fn placed(&mut self, key: u64, business: usize, order: &OrderEvent) {
        match self.keys.insert(key, order.id) {
            Some(first) if first != order.id => {
                self.second_orders.insert(order.id);
                self.keys.insert(key, first);
            }
            _ => {}
        }
        self.change(business, order, |record| record.key = Some(key));
    }

    /// A device got an event that it had not seen by its cursor.
    pub(super) fn heard(&mut self, device: usize, business: usize, order: &OrderEvent) {
        let mut repeated = false;
        self.change(business, order, |record| {
            repeated = order.version <= record.seen[device];
            record.seen[device] = record.seen[device].max(order.version);
            record.rung[device] |= order.status == Status::Placed;
        });
        self.repeated += u64::from(repeated);
    }

    /// A device found the order in the list of what is `placed`, after its history was gone.
    pub(super) fn found(&mut self, device: usize, business: usize, order: &OrderEvent) {
        self.change(business, order, |record| {
            record.seen[device] = record.seen[device].max(order.version);
            record.rung[device] = true;
        });
    }

    /// A device acknowledged an event of this order.
    pub(super) fn acked(&mut self, device: usize, business: usize, order: &OrderEvent) {
        self.change(business, order, |record| record.acked[device] |= record.rung[device]);
    }

    /// The hub answered a move with this.
    pub(super) fn moved(&mut self, business: usize, order: &OrderEvent) {
        self.change(business, order, |_| ());
    }

    /// Whether the caller is the first to take this order in hand.
    pub(super) fn claim(&mut self, id: OrderId) -> bool {
        match self.orders.get_mut(&id) {
            Some(record) if record.taken == Taken::Waiting => {
                record.taken = Taken::InHand;
                true
            }
            _ => false,
        }
    }

    /// A device did not get so many events and was not told so.
    pub(super) fn missed(&mut self, events: u64) {
        self.missed += events;
    }

    /// A customer was refused or had no answer within patience.
    pub(super) fn refused(&mut self, why: String) {
        self.refused += 1;
        self.fault(why);
    }

    /// Something went otherwise than it should; the last one is shown.
    pub(super) fn fault(&mut self, what: String) {
        self.faults += 1;
        self.last_fault = Some(what);
    }

    /// Whether customers may place more: neither is too much open nor would the books grow without bound.
    pub(super) fn has_room(&self) -> bool {
        let open = self.totals.placed - self.totals.completed;
        open < MAX_OPEN && self.orders.len() < 2 * MAX_KEPT
    }

    /// Whether no customer waits, every order placed has run to its end and everybody heard of it.
    pub(super) fn is_settled(&self) -> bool {
        self.under_way == 0 && self.totals.settled == self.totals.placed
    }

    /// Orders that have come to their end, of which everybody heard.
    pub(super) fn settled(&self) -> Judged {
        let settled = self.orders.iter().filter(|(_, record)| record.stages()[4]);
        Judged::These(settled.map(|(id, _)| *id).collect())
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn mended(&self) -> Mended {
        self.mended
    }

    /// A device's connection ended before the run did.
    pub(super) fn cut(&mut self) {
        self.mended.cut += 1;
    }

    /// A device went on where it had been.
    pub(super) fn resumed(&mut self) {
        self.mended.resumed += 1;
    }

    /// An order was sent twice with one key, and both answers were the same order or not.
    pub(super) fn repeated(&mut self, same: bool) {
        self.mended.repeated += 1;
        self.mended.same += u64::from(same);
    }

    /// The latest orders.
    pub(super) fn recent(&self) -> Vec<Recent> {
        self.recent.iter().filter_map(|id| self.line(*id)).collect()
    }

    /// How an order stands.
    pub(super) fn line(&self, id: OrderId) -> Option<Recent> {
        let Record { number, business, status, rung, acked, .. } = self.orders.get(&id)?;
        let (rung, acked) = (*rung == [true; DEVICES], *acked == [true; DEVICES]);
        Some(Recent { id, rung, acked, number: number.clone(), business: *business, status: *status })
    }

    /// How many customers were refused, how much else was odd, and the last of it.
    pub(super) fn odd(&self) -> (u64, u64, Option<&str>) {
        (self.refused, self.faults, self.last_fault.as_deref())
    }

    /// The oldest order that is still checked at the end.
    pub(super) fn floor(&self) -> OrderId {
        self.floor
    }

    /// Compares the books with everything the hub lists from [`Ledger::floor`] on.
    pub(super) fn audit(&self, listed: &[Listed], judged: &Judged) -> Audit {
        let by_id: HashMap<OrderId, &Listed> = listed.iter().map(|order| (order.id, order)).collect();
        let mut audit = Audit { doubled: self.repeated, missed: self.missed, ..Audit::default() };
        for (id, record) in self.orders.iter().filter(|(_, record)| record.key.is_some()) {
            if let Judged::These(settled) = judged
                && !settled.contains(id)
            {
                audit.left += 1;
                continue;
            }
            let entry = by_id.get(id);
            let ended = entry.is_some_and(|order| order.status.is_end());
            if !ended || record.rung != [true; DEVICES] {
                audit.lost += 1;
            } else if let Some(order) = entry {
                audit.missed += record.seen.iter().filter(|seen| **seen < order.version).count() as u64;
            }
        }
        let mut second = self.second_orders.clone();
        let mut first = self.keys.clone();
        for order in listed {
            if let Some(key) = order.key
                && *first.entry(key).or_insert(order.id) != order.id
            {
                second.insert(order.id);
            }
        }
        audit.doubled += second.len() as u64;
        audit
    }

    fn change(&mut self, business: usize, order: &OrderEvent, change: impl FnOnce(&mut Record)) {
        if order.id < self.floor {
            return;
        }
        let recent = &mut self.recent;
        let record = self.orders.entry(order.id).or_insert_with(|| {
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(order.id);
            Record {
                key: None,
                business,
                number: order.order_number.clone(),
                status: order.status,
                version: order.version,
                taken: Taken::Waiting,
                rung: [false; DEVICES],
                acked: [false; DEVICES],
                seen: [0; DEVICES],
            }
        });
        let before = record.stages();
        if order.version > record.version {
            record.version = order.version;
            record.status = order.status;
        }
        change(record);
        let gained = |stage: usize, after: [bool; 5]| u64::from(after[stage] && !before[stage]);
        let after = record.stages();
        self.totals.placed += gained(0, after);
        self.totals.rung += gained(1, after);
        self.totals.acked += gained(2, after);
        self.totals.completed += gained(3, after);
        self.totals.settled += gained(4, after);
        self.forget();
    }

    /// Lets go of the oldest orders once there are too many, as long as nothing is left to find out about them.
    fn forget(&mut self) {
        while self.orders.len() > MAX_KEPT {
            let Some(oldest) = self.orders.first_entry().filter(|entry| entry.get().may_be_forgotten())
            else {
                return;
            };
            let record = oldest.remove();
            if let Some(key) = record.key {
                self.keys.remove(&key);
            }
            if let Some(next) = self.orders.first_key_value() {
                self.floor = *next.0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
