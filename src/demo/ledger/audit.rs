//! The comparison of the ledger with the hub's lists at the end.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::OrderId;
use crate::domain::order::Status;

use super::Ledger;
use super::record::DEVICES;

/// An order as the hub lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) struct Listed {
    pub(in crate::demo) id: OrderId,
    /// The number of the order's key, if this run placed it.
    pub(in crate::demo) key: Option<u64>,
    pub(in crate::demo) status: Status,
    pub(in crate::demo) version: i64,
}

/// The orders that the audit at the end judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::demo) enum AuditScope {
    /// All of them.
    Everything,
    /// Orders that had reached their end before the hub was asked for its list; open ones are left out.
    These(HashSet<OrderId>),
}

/// Faults found by the audit at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Audit {
    /// Orders that were answered with 201 and then missing in the list, not rung or not completed.
    pub(in crate::demo) lost: u64,
    /// Second orders of one key, and events that a device got twice.
    pub(in crate::demo) doubled: u64,
    /// Events that a device never got.
    pub(in crate::demo) missed: u64,
    /// Orders that were open and are not judged.
    pub(in crate::demo) left: u64,
}

impl Ledger {
    /// Orders that have come to their end, of which everybody heard.
    pub(in crate::demo) fn settled(&self) -> AuditScope {
        let settled = self.orders.iter().filter(|(_, record)| record.stages()[4]);
        AuditScope::These(settled.map(|(id, _)| *id).collect())
    }

    /// Compares the ledger with everything the hub lists from [`Ledger::floor`] on.
    pub(in crate::demo) fn audit(&self, listed: &[Listed], scope: &AuditScope) -> Audit {
        let by_id: HashMap<OrderId, &Listed> = listed.iter().map(|order| (order.id, order)).collect();
        let mut audit = Audit { doubled: self.repeated, missed: self.missed, ..Audit::default() };
        for (id, record) in self.orders.iter().filter(|(_, record)| record.key.is_some()) {
            if let AuditScope::These(settled) = scope
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
}
