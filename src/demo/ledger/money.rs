//! Money of the orders that are paid online, over all of them.

use serde::Deserialize;

use crate::domain::ids::OrderId;

use super::Ledger;
use super::online::Flow;

/// The data of `payment_received` and `payment_refunded`, as far as devices need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::demo) struct MoneyMoved {
    pub(in crate::demo) order_id: OrderId,
    pub(in crate::demo) amount_minor: i64,
}

/// The money of all orders that are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Money {
    /// Orders that were to be paid online.
    pub(in crate::demo) online: u64,
    /// Captured for them, in minor units.
    pub(in crate::demo) captured_minor: i64,
    /// Given back.
    pub(in crate::demo) refunded_minor: i64,
    /// What they owe by their ends.
    pub(in crate::demo) owed_minor: i64,
    /// Orders of which something else was captured than received, or captured − refunded is not what they owe.
    pub(in crate::demo) wrong: u64,
}

impl Ledger {
    /// An order is paid online.
    pub(in crate::demo) fn pays_online(&mut self, id: OrderId) {
        self.update(id, |record| record.money.is_online = true);
    }

    /// The provider captured a payment.
    pub(in crate::demo) fn captured(&mut self, id: OrderId, amount_minor: i64) {
        self.update(id, |record| record.money.captured(amount_minor));
    }

    /// A device heard that money of an order was received, or has gone back.
    pub(in crate::demo) fn heard_of_money(&mut self, device: usize, flow: Flow, money: MoneyMoved) {
        self.update(money.order_id, |record| record.money.heard(device, flow, money.amount_minor));
    }

    /// The money of every order of this run that has come to its end, or, where `everything` is judged, of every order.
    pub(in crate::demo) fn money(&self, everything: bool) -> Money {
        let mut sums = Money::default();
        for record in self.orders.values().filter(|record| record.money.is_online) {
            if !everything && !record.is_settled() {
                continue;
            }
            sums.online += 1;
            sums.captured_minor += record.money.captured_minor;
            sums.refunded_minor += record.money.refunded();
            sums.owed_minor += record.money.owed(record.status);
            sums.wrong += u64::from(!record.is_paid_up());
        }
        sums
    }
}
