//! The comparison of the ledger with the hub's lists at the end.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::domain::ids::OrderId;
use crate::domain::order::{PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::Ledger;
use super::devices::DEVICES;
use super::money::Money;

/// A deadline that is passed by more than this was missed; the clocks of two machines may differ by it.
const LATE: Duration = Duration::from_secs(5);

/// An order as the hub lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) struct Listed {
    pub(in crate::demo) id: OrderId,
    /// The number of the order's key, if this run placed it.
    pub(in crate::demo) key: Option<u64>,
    pub(in crate::demo) status: Status,
    pub(in crate::demo) version: i64,
    /// When the hub acts on it by itself.
    pub(in crate::demo) deadline_at: Option<Timestamp>,
    /// How its payment stands.
    pub(in crate::demo) payment: PaymentStatus,
    /// Whether drivers bring it.
    pub(in crate::demo) is_driven: bool,
}

/// What is to become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    /// It has ended.
    Ended,
    /// The hub or a member has the next step.
    Live,
    /// Nobody has.
    Stuck,
}

impl Listed {
    fn prospect(&self, now: Timestamp) -> Prospect {
        let waits_for_members =
            matches!(self.status, Status::Accepted | Status::Preparing | Status::Ready | Status::PickedUp);
        match self.deadline_at {
            _ if self.status.is_end() => Prospect::Ended,
            Some(at) if at.plus(LATE) > now => Prospect::Live,
            None if waits_for_members => Prospect::Live,
            Some(_) | None => Prospect::Stuck,
        }
    }
}

/// The orders that the audit at the end judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::demo) enum AuditScope {
    /// All of them.
    Everything,
    /// Orders that had reached their end before the hub was asked for its list; open ones are left out.
    These(HashSet<OrderId>),
}

/// Findings of the audit at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Audit {
    /// Orders that were answered with 201 and then missing in the list, or not rung.
    pub(in crate::demo) lost: u64,
    /// Second orders of one key, and events that a device got twice.
    pub(in crate::demo) doubled: u64,
    /// Events that a device never got.
    pub(in crate::demo) missed: u64,
    /// Orders that have not ended, and that neither a deadline ahead nor a member moves on.
    pub(in crate::demo) stuck: u64,
    /// Orders that have not ended and are not stuck.
    pub(in crate::demo) live: u64,
    /// Orders that were open and are not judged.
    pub(in crate::demo) left: u64,
    /// Orders whose cash nobody took.
    pub(in crate::demo) uncollected: u64,
    /// Orders that drivers bring: delivered, ended otherwise, and open.
    pub(in crate::demo) driven: [u64; 3],
    /// The money of the orders that are paid online.
    pub(in crate::demo) money: Money,
}

impl Ledger {
    /// Orders that have come to their end, of which everybody heard.
    pub(in crate::demo) fn settled(&self) -> AuditScope {
        let settled = self.orders.iter().filter(|(_, record)| record.is_settled());
        AuditScope::These(settled.map(|(id, _)| *id).collect())
    }

    /// Compares the ledger with everything the hub listed at `now` from [`Ledger::floor`] on.
    pub(in crate::demo) fn audit(&self, listed: &[Listed], scope: &AuditScope, now: Timestamp) -> Audit {
        let by_id: HashMap<OrderId, &Listed> = listed.iter().map(|order| (order.id, order)).collect();
        let mut audit = Audit { doubled: self.repeated, missed: self.missed, ..Audit::default() };
        for (id, record) in self.orders.iter().filter(|(_, record)| record.key.is_some()) {
            if let AuditScope::These(settled) = scope
                && !settled.contains(id)
            {
                audit.left += 1;
                continue;
            }
            let is_rung = record.rung == [true; DEVICES] || record.was_never_placed();
            let Some(order) = by_id.get(id).filter(|_| is_rung) else {
                audit.lost += 1;
                continue;
            };
            if order.is_driven {
                let place = if order.status == Status::Delivered { 0 } else { 1 };
                audit.driven[if order.status.is_end() { place } else { 2 }] += 1;
            }
            match order.prospect(now) {
                Prospect::Ended => {}
                Prospect::Live => audit.live += 1,
                Prospect::Stuck => audit.stuck += 1,
            }
            audit.missed += record.seen.iter().filter(|seen| **seen < order.version).count() as u64;
        }
        audit.doubled += self.second_orders_with(listed);
        audit.uncollected =
            listed.iter().filter(|order| order.payment == PaymentStatus::Uncollected).count() as u64;
        audit.money = self.money(*scope == AuditScope::Everything);
        audit
    }

    /// Second orders for one key, by anybody's word.
    fn second_orders_with(&self, listed: &[Listed]) -> u64 {
        let mut second = self.second_orders.clone();
        let mut first = self.keys.clone();
        for order in listed {
            if let Some(key) = order.key
                && *first.entry(key).or_insert(order.id) != order.id
            {
                second.insert(order.id);
            }
        }
        second.len() as u64
    }
}
