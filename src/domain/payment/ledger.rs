//! The money of one order: its payments and refunds, and what each thing that happens does to them and to the order.

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::order::{Order, PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::model::{Payment, PaymentState, Refund, RefundCause, RefundState};
use super::table::{self, RefundEvent};

/// Every payment and refund of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderMoney {
    pub(super) payments: Vec<Payment>,
    pub(super) refunds: Vec<Refund>,
}

/// Something that follows from a change of an order's money, in the same commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyEffect {
    /// The order is paid: it is placed now.
    Place,
    /// The order is paid and its business takes it no more: it is cancelled, and owes the money.
    CancelClosed,
    /// Rooms hear that money was received.
    Received(PaymentId),
    /// Rooms hear that money has gone back.
    Returned(RefundId),
    /// Operators hear that a refund did not arrive.
    RefundFailed(RefundId),
    /// Operators hear that money has gone back which nobody here had asked for.
    ReturnedOutside(RefundId),
}

impl OrderMoney {
    /// The money of an order as it was stored.
    pub fn new(payments: Vec<Payment>, refunds: Vec<Refund>) -> Self {
        Self { payments, refunds }
    }

    /// Its payments, oldest first.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// Its refunds, oldest first.
    pub fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    /// The payment that waits for the customer.
    pub fn open(&self) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.state == PaymentState::Initiated)
    }

    /// A payment of the order.
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    /// A refund of the order.
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// What was captured and has not gone back, in minor units.
    pub fn kept_minor(&self) -> i64 {
        self.payments.iter().map(|payment| payment.captured_minor - payment.refunded_minor).sum()
    }

    /// Refunds of a payment that have neither succeeded nor are nothing, in minor units: what is promised.
    pub fn promised_minor(&self, payment: PaymentId) -> i64 {
        let open = |refund: &&Refund| refund.payment == payment && refund.state != RefundState::Succeeded;
        self.refunds.iter().filter(open).map(|refund| refund.amount_minor).sum()
    }

    /// What of a payment can still be promised, in minor units.
    pub(super) fn left_minor(&self, payment: &Payment) -> i64 {
        payment.captured_minor - payment.refunded_minor - self.promised_minor(payment.id)
    }

    /// Makes every refund due that the order owes and that is not there, lets a payment be closed that the order waits for no more, and
    /// says on the order how its money stands. Doing it again changes nothing.
    pub fn settle(&mut self, order: &mut Order, mut new_refund: impl FnMut() -> RefundId, now: Timestamp) {
        if order.status != Status::PendingPayment || order.payment_status != PaymentStatus::Pending {
            self.ask(now);
        }
        let keeps = order.payment_status == PaymentStatus::Paid;
        for index in 0..self.payments.len() {
            let payment = &self.payments[index];
            let left = self.left_minor(payment);
            let is_automatic = |refund: &Refund| refund.cause == RefundCause::Automatic;
            let has_one =
                self.refunds.iter().any(|refund| refund.payment == payment.id && is_automatic(refund));
            if left > 0 && !has_one && !(keeps && payment.counts) {
                self.refunds.push(Refund::due(new_refund(), payment, left, RefundCause::Automatic, now));
            }
        }
        order.set_payment(self.status_of(order));
    }

    /// How the money of an order stands.
    fn status_of(&self, order: &Order) -> PaymentStatus {
        let is_captured = self.payments.iter().any(|payment| payment.captured_minor > 0);
        match order.payment_status {
            status @ (PaymentStatus::Pending | PaymentStatus::Uncollected) => status,
            PaymentStatus::Paid if !self.is_given_back() => PaymentStatus::Paid,
            // Cash that was taken at hand-over has no payment here, and the hub gives none of it back.
            PaymentStatus::RefundDue | PaymentStatus::Refunded if !is_captured => PaymentStatus::Paid,
            // It may have been paid twice, and only one of both has gone back.
            PaymentStatus::Paid | PaymentStatus::RefundDue | PaymentStatus::Refunded
                if self.kept_minor() > 0 =>
            {
                PaymentStatus::RefundDue
            }
            PaymentStatus::Paid | PaymentStatus::RefundDue | PaymentStatus::Refunded => {
                PaymentStatus::Refunded
            }
        }
    }

    /// Whether everything has gone back that paid the order, and somebody here wanted some of it: what goes back without that
    /// changes the payment and not the order.
    fn is_given_back(&self) -> bool {
        let Some(paid) = self.payments.iter().find(|payment| payment.counts) else { return false };
        let is_wanted = |refund: &Refund| {
            refund.payment == paid.id
                && refund.state == RefundState::Succeeded
                && refund.cause != RefundCause::Outside
        };
        paid.captured_minor == paid.refunded_minor && self.refunds.iter().any(is_wanted)
    }

    /// Changes the state of a refund by an event of the table, and the sum of its payment with it. Whether it changed.
    pub(super) fn apply(&mut self, id: RefundId, event: RefundEvent, now: Timestamp) -> bool {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return false };
        let Some(state) = table::refund_after(refund.state, event) else { return false };
        let was = refund.state;
        (refund.state, refund.updated_at) = (state, now);
        let back = match (was, state) {
            (RefundState::Succeeded, RefundState::Succeeded) => 0,
            (_, RefundState::Succeeded) => refund.amount_minor,
            (RefundState::Succeeded, _) => -refund.amount_minor,
            _ => 0,
        };
        let payment = refund.payment;
        if let Some(payment) = self.payments.iter_mut().find(|one| one.id == payment) {
            payment.refunded_minor += back;
            payment.updated_at = now;
        }
        true
    }
}
