//! The money of one order that is paid online: what the provider captured, what the hub says it received and gave back, and what the
//! order owes by its end.

use crate::domain::order::Status;

use super::devices::DEVICES;

/// The way that money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Flow {
    /// It came.
    Received,
    /// It went back.
    Refunded,
}

/// The money of one order, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PaidOnline {
    /// Whether it is paid online.
    pub(super) is_online: bool,
    /// What one payment of it is.
    price_minor: i64,
    /// What the provider captured, by its own word.
    pub(super) captured_minor: i64,
    /// What the hub said it received and gave back, as each device heard it.
    received_minor: [i64; DEVICES],
    refunded_minor: [i64; DEVICES],
}

impl PaidOnline {
    /// The provider captured a payment.
    pub(super) fn captured(&mut self, amount_minor: i64) {
        self.price_minor = amount_minor;
        self.captured_minor += amount_minor;
    }

    /// A device heard that money was received, or has gone back.
    pub(super) fn heard(&mut self, device: usize, flow: Flow, amount_minor: i64) {
        let heard = match flow {
            Flow::Received => &mut self.received_minor[device],
            Flow::Refunded => &mut self.refunded_minor[device],
        };
        *heard += amount_minor;
    }

    /// What has gone back; a device that lost its history has heard less.
    pub(super) fn refunded(&self) -> i64 {
        self.refunded_minor.into_iter().max().unwrap_or_default()
    }

    fn received(&self) -> i64 {
        self.received_minor.into_iter().max().unwrap_or_default()
    }

    /// What the order owes at this status: its price while it goes on and once the customer has it, nothing at any other end.
    pub(super) fn owed(&self, status: Status) -> i64 {
        let keeps = status != Status::PendingPayment && !status.is_end_without_delivery();
        if keeps { self.price_minor.min(self.captured_minor) } else { 0 }
    }

    /// Whether the hub has received what was captured, and has given back all but what the order owes.
    pub(super) fn is_right(&self, status: Status) -> bool {
        self.received() == self.captured_minor && self.captured_minor - self.refunded() == self.owed(status)
    }
}
