//! Money: the hub's books are those of the provider, and captured − refunded is what the order owes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{History, StoredOrder, Violation};

/// Reasons of a failed order after which everything goes back.
const GIVEN_BACK: [&str; 2] = ["damaged", "driver_fault"];

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let stored: HashMap<&str, _> =
        history.payments.iter().map(|payment| (payment.id.as_str(), payment)).collect();
    for (id, held) in &history.held {
        let Some(payment) = stored.get(id.as_str()) else {
            // Begun and never answered: nobody can have paid it.
            if held.captured_minor > 0 {
                found.push(Violation::UnknownPayment { payment: id.clone(), order: held.order.clone() });
            }
            continue;
        };
        let returned: i64 = held.returned.iter().map(|(_, amount)| amount).sum();
        let captured = [payment.captured_minor, held.captured_minor];
        let refunded = [payment.refunded_minor, returned];
        if captured[0] != captured[1] || refunded[0] != refunded[1] {
            found.push(Violation::BooksDiffer { payment: id.clone(), captured, refunded });
        }
        let mut refunds = BTreeSet::new();
        for (refund, _) in &held.returned {
            if !refunds.insert(refund) {
                found.push(Violation::RefundedTwice { payment: id.clone(), refund: refund.clone() });
            }
        }
    }
    found.extend(what_orders_owe(history));
    found
}

fn what_orders_owe(history: &History) -> Vec<Violation> {
    let mut kept: BTreeMap<&str, i64> = BTreeMap::new();
    for held in history.held.values() {
        let returned: i64 = held.returned.iter().map(|(_, amount)| amount).sum();
        *kept.entry(&held.order).or_default() += held.captured_minor - returned;
    }
    let mut paid: BTreeSet<&str> = BTreeSet::new();
    paid.extend(history.payments.iter().filter(|p| p.counts).map(|p| p.order.as_str()));
    let mut found = Vec::new();
    for order in &history.orders {
        let keeps = kept.get(order.id.as_str()).copied().unwrap_or_default();
        let owes = if paid.contains(order.id.as_str()) { owed(order) } else { 0 };
        if keeps != owes {
            found.push(Violation::MoneyWrong { order: order.id.clone(), keeps, owes });
        }
    }
    found
}

/// What is owed for an order that a payment paid.
fn owed(order: &StoredOrder) -> i64 {
    let code = order.ended_code.as_deref().unwrap_or_default();
    match order.status.as_str() {
        "rejected" | "cancelled" => 0,
        "failed" if GIVEN_BACK.contains(&code) => 0,
        _ => order.total_minor,
    }
}
