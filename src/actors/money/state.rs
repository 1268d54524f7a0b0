//! The state of the worker of money: the rows that it works on, by what is done about them.

use crate::actors::work_list::WorkList;
use crate::domain::ids::{PaymentId, PaymentMessageId, RefundId};

use super::settings::{CALLS, MESSAGES};

/// The rows that this node works on.
pub(super) struct MoneyState {
    /// Messages of the provider.
    pub(super) messages: WorkList<PaymentMessageId>,
    /// Payments about which the provider is asked.
    pub(super) asks: WorkList<PaymentId>,
    /// Refunds that are due.
    pub(super) refunds: WorkList<RefundId>,
    /// Refunds that have not succeeded in their time.
    pub(super) late: WorkList<RefundId>,
}

impl MoneyState {
    /// Nothing is worked on.
    pub(super) fn new() -> Self {
        Self {
            messages: WorkList::new(MESSAGES),
            asks: WorkList::new(CALLS),
            refunds: WorkList::new(CALLS),
            late: WorkList::new(CALLS),
        }
    }
}
