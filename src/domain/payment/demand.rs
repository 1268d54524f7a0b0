//! Refunds that people demand, let be tried again, or give by hand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{RefundId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

use super::ledger::{MoneyEffect, OrderMoney};

use super::model::{MoneyWay, Payment, Refund, RefundCause, RefundState};
use super::refunding::{ALARM_AFTER, CALL_WITHIN};
use super::table::RefundEvent;

/// Time after the end of an order in which a refund can be demanded.
pub(super) const REFUND_WITHIN: Duration = Duration::from_secs(14 * 24 * 3600);

/// Most refunds of one order.
pub(super) const MAX_REFUNDS: usize = 100;

/// A refund that a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundDemand {
    /// The id that the refund has.
    pub id: RefundId,
    /// How much, in minor units; everything that is left unless given.
    pub amount_minor: Option<i64>,
    /// The reason for it.
    pub reason: Option<String>,
    /// How it was given back by hand already; `None`: as it was paid.
    pub by_hand: Option<MoneyWay>,
    /// The receipt of what was given by hand.
    pub reference: Option<String>,
    /// Who wants it.
    pub user: UserId,
}

/// Why there is no such refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundRefusal {
    /// Nothing of the order was captured.
    NothingPaid,
    /// Less is left than what is wanted.
    TooMuch {
        /// What is left, in minor units.
        left_minor: i64,
    },
    /// The order ended too long ago.
    TooLate,
    /// As many refunds as an order may have are there.
    TooMany,
    /// No such refund.
    NoSuchRefund,
    /// The refund is in a state in which this cannot be done.
    NotNow {
        /// The state of the refund.
        state: RefundState,
    },
}

impl OrderMoney {
    /// Makes a refund due that a person wants, or books what they gave by hand. Where one is due by hand already, that one is settled.
    ///
    /// # Errors
    /// There is nothing to give back, or not so much, or it is too late; nothing has changed.
    pub fn demand(
        &mut self,
        order: &mut Order,
        demand: RefundDemand,
        mut new_refund: impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<(RefundId, Vec<MoneyEffect>), RefundRefusal> {
        if order.status.is_end() && now >= order.updated_at.plus(REFUND_WITHIN) {
            return Err(RefundRefusal::TooLate);
        }
        let by_hand = demand.by_hand.map(|way| (way, demand.reference, demand.user));
        if let Some((hand, waiting)) = by_hand.clone().zip(self.waits_for_a_hand()) {
            if demand.amount_minor.is_some_and(|amount| amount != waiting.amount_minor) {
                return Err(RefundRefusal::TooMuch { left_minor: waiting.amount_minor });
            }
            let id = waiting.id;
            return Ok((id, self.settle_refund(id, order, hand, new_refund, now)?));
        }
        if self.refunds.len() >= MAX_REFUNDS {
            return Err(RefundRefusal::TooMany);
        }
        let payment = self.refundable().ok_or(RefundRefusal::NothingPaid)?.clone();
        let left_minor = self.left_minor(&payment);
        let amount = demand.amount_minor.unwrap_or(left_minor);
        if amount > left_minor || amount <= 0 {
            return Err(RefundRefusal::TooMuch { left_minor });
        }
        let id = demand.id;
        let mut refund = Refund::due(id, &payment, amount, RefundCause::Demanded, now);
        (refund.reason, refund.user) = (demand.reason, Some(demand.user));
        self.refunds.push(refund);
        let effects = by_hand.map(|hand| self.settle_refund(id, order, hand, &mut new_refund, now));
        let effects = effects.transpose()?.unwrap_or_default();
        self.settle(order, new_refund, now);
        Ok((id, effects))
    }

    /// The payment of which something can still go back: the one that counts first.
    fn refundable(&self) -> Option<&Payment> {
        let captured = || self.payments.iter().filter(|payment| payment.captured_minor > 0);
        let left = || captured().filter(|payment| self.left_minor(payment) > 0);
        left().find(|payment| payment.counts).or_else(|| left().next()).or_else(|| captured().next())
    }

    /// The refund that somebody has to give by hand.
    pub fn waits_for_a_hand(&self) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.way != MoneyWay::Online && refund.is_unsent())
    }

    /// Lets a refund that failed be sent again, and one whose outcome is not known be asked about at once; the provider is asked first
    /// either way.
    ///
    /// # Errors
    /// There is no such refund, or it is done or a person's; nothing has changed.
    pub fn retry_refund(&mut self, id: RefundId, now: Timestamp) -> Result<(), RefundRefusal> {
        let refund = self.refund(id).ok_or(RefundRefusal::NoSuchRefund)?;
        let (state, due_at) = (refund.state, refund.due_at);
        if refund.way != MoneyWay::Online || state == RefundState::Succeeded {
            return Err(RefundRefusal::NotNow { state });
        }
        let is_retry = self.apply(id, RefundEvent::Retry, now);
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) {
            if is_retry {
                (refund.due_at, refund.alarm_at) = (Some(now), Some(now.plus(ALARM_AFTER)));
                (refund.retries, refund.first_sent_at, refund.told) = (refund.retries + 1, None, false);
            } else {
                // A call that is under way has the time that it may take.
                refund.due_at = due_at.map(|due| due.min(now.plus(CALL_WITHIN)));
            }
        }
        Ok(())
    }

    /// Books a refund that a person gave back another way.
    ///
    /// # Errors
    /// There is no such refund, or it may be on its way at the provider; nothing has changed.
    pub fn settle_refund(
        &mut self,
        id: RefundId,
        order: &mut Order,
        (way, reference, user): (MoneyWay, Option<String>, UserId),
        new_refund: impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, RefundRefusal> {
        let state = self.refund(id).ok_or(RefundRefusal::NoSuchRefund)?.state;
        let effects = self.refund_event(id, RefundEvent::Settled, now);
        if effects.is_empty() {
            return Err(RefundRefusal::NotNow { state });
        }
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) {
            (refund.way, refund.reference, refund.user) = (way, reference, Some(user));
        }
        self.settle(order, new_refund, now);
        Ok(effects)
    }
}
