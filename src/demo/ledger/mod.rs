//! Ledger of every order: placed, rung, acknowledged, completed; and of faults: lost, doubled or stuck. It does no input or output.

mod alerts;
mod audit;
mod deliveries;
mod devices;
mod money;
mod online;
mod record;
mod totals;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Deserialize;

use crate::domain::ids::OrderId;
use crate::domain::order::{EndedCode, EndedReason, Fulfilment, Status};

pub(super) use alerts::{Alerts, BusinessChange, OrderNudge};
pub(super) use audit::{Audit, AuditScope, Listed};
pub(super) use devices::{COUNTER, DEVICES};
pub(super) use money::MoneyMoved;
pub(super) use online::Flow;
pub(super) use totals::{Recoveries, Totals};

use alerts::AlertBook;
use record::{Claim, Record};

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
    /// There when it was rejected or cancelled.
    pub(super) ended_reason: Option<EndedReason>,
}

/// The state of one order, for the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderLine {
    pub(super) id: OrderId,
    /// Whether every device of the business heard it, and acknowledged it.
    pub(super) rung: bool,
    pub(super) acked: bool,
    pub(super) number: String,
    pub(super) business: usize,
    pub(super) status: Status,
}

/// The ledger of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Orders before it are not of this run, or were forgotten.
    floor: OrderId,
    orders: BTreeMap<OrderId, Record>,
    keys: HashMap<u64, OrderId>,
    totals: Totals,
    /// Connections that ended, and orders that were sent again.
    pub(super) recoveries: Recoveries,
    /// Answers, and what follows where there is none.
    pub(super) alerts: AlertBook,
    pub(super) deliveries: deliveries::DeliveryBook,
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
    /// SharedLedger of a run whose orders all have ids after `floor`.
    pub(super) fn new(floor: OrderId) -> Self {
        Self {
            floor,
            orders: BTreeMap::new(),
            keys: HashMap::new(),
            totals: Totals::default(),
            recoveries: Recoveries::default(),
            alerts: AlertBook::new(),
            deliveries: Default::default(),
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

    /// A device was told that an order still waits for its business.
    pub(super) fn rang(&mut self, ring: &OrderNudge) {
        self.alerts.rang();
        self.update(ring.order_id, |record| record.rang_again = true);
    }

    /// Whether the caller is the first to take this order in hand.
    pub(super) fn claim(&mut self, id: OrderId) -> bool {
        match self.orders.get_mut(&id) {
            Some(record) if record.claim == Claim::Waiting => {
                record.claim = Claim::InHand;
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

    /// Whether customers may place more: neither is too much open nor would the ledger grow without bound.
    pub(super) fn has_room(&self) -> bool {
        let open = self.totals.placed - self.totals.completed;
        open < MAX_OPEN && self.orders.len() < 2 * MAX_KEPT
    }

    /// Whether no customer waits, every order placed has run to its end and everybody heard of it.
    pub(super) fn is_settled(&self) -> bool {
        self.under_way == 0 && self.totals.settled == self.totals.placed
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// The latest orders.
    pub(super) fn recent(&self) -> Vec<OrderLine> {
        self.recent.iter().filter_map(|id| self.line(*id)).collect()
    }

    /// The state of one order.
    pub(super) fn line(&self, id: OrderId) -> Option<OrderLine> {
        let Record { number, business, status, rung, acked, .. } = self.orders.get(&id)?;
        let (rung, acked) = (*rung == [true; DEVICES], *acked == [true; DEVICES]);
        Some(OrderLine { id, rung, acked, number: number.clone(), business: *business, status: *status })
    }

    /// Number of refused customers, number of other faults, and the last of them.
    pub(super) fn odd(&self) -> (u64, u64, Option<&str>) {
        (self.refused, self.faults, self.last_fault.as_deref())
    }

    /// The oldest order that is still checked at the end.
    pub(super) fn floor(&self) -> OrderId {
        self.floor
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
                claim: Claim::Waiting,
                rung: [false; DEVICES],
                acked: [false; DEVICES],
                seen: [0; DEVICES],
                rang_again: false,
                unanswered: false,
                money: Default::default(),
            }
        });
        let before = record.stages();
        if order.version > record.version {
            record.version = order.version;
            record.status = order.status;
        }
        let code = order.ended_reason.as_ref().map(|reason| reason.code);
        record.unanswered |= code == Some(EndedCode::Unanswered);
        change(record);
        self.totals.count(before, record.stages());
        self.forget();
    }

    /// Changes what is known of an order, if anything is.
    fn update(&mut self, id: OrderId, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.orders.get_mut(&id) {
            let before = record.stages();
            change(record);
            self.totals.count(before, record.stages());
        }
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
