//! News of the provider: what was captured, and what was not.

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::order::{Order, PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::ledger::{MoneyEffect, OrderMoney};
use super::model::MoneyWay;
use super::news::{NewsRefusal, NewsStatus, PaymentNews};
use super::table;

/// Most that one payment can capture, in minor units: more than any order costs, and so little that no sum overflows.
const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000_000;

impl OrderMoney {
    /// Takes in news of the provider. What is known already changes nothing. `takes` says whether the business takes an order that
    /// is paid now.
    ///
    /// # Errors
    /// The news needs a person; nothing has changed.
    pub fn hear(
        &mut self,
        news: &PaymentNews,
        order: &mut Order,
        takes: bool,
        mut new_refund: impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        if news.order != order.id {
            return Err(NewsRefusal::WrongOrder);
        }
        // What a person recorded is not known to the provider.
        let payment = self.payment(news.payment).filter(|payment| payment.way == MoneyWay::Online);
        let payment = payment.ok_or(NewsRefusal::UnknownPayment)?;
        let is_amount = |amount: i64| (1..=MAX_AMOUNT_MINOR).contains(&amount);
        // A payment that failed has no amount, whatever the message says.
        if news.status != NewsStatus::Failed
            && (news.currency.is_some_and(|currency| currency != payment.currency)
                || news.amount_minor.is_some_and(|amount| !is_amount(amount)))
        {
            return Err(NewsRefusal::AmountMismatch);
        }
        let effects = match news.status {
            NewsStatus::Success => self.captured(news, order, takes, now)?,
            NewsStatus::Failed => self.closed(news.payment, now),
            NewsStatus::Refunded => self.returned(news, &mut new_refund, now)?,
            NewsStatus::RefundFailed => self.bounced(news, now)?,
        };
        self.settle(order, new_refund, now);
        Ok(effects)
    }

    fn captured(
        &mut self,
        news: &PaymentNews,
        order: &mut Order,
        takes: bool,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        let payment = self.payments.iter_mut().find(|payment| payment.id == news.payment);
        let payment = payment.ok_or(NewsRefusal::UnknownPayment)?;
        let Some(state) = table::after(payment.state, news.status) else { return Ok(Vec::new()) };
        let amount = news.amount_minor.unwrap_or(payment.amount_minor);
        let pays = order.status == Status::PendingPayment && order.payment_status == PaymentStatus::Pending;
        // Of an order that has ended or is paid already everything goes back, whatever it is.
        if pays && amount < payment.amount_minor {
            return Err(NewsRefusal::AmountMismatch);
        }
        (payment.state, payment.captured_minor, payment.ask_at) = (state, amount, None);
        payment.updated_at = now;
        payment.counts = pays;
        let mut effects = vec![MoneyEffect::Received(payment.id)];
        if pays && takes {
            order.set_payment(PaymentStatus::Paid);
            effects.push(MoneyEffect::Place);
        } else if pays {
            order.set_payment(PaymentStatus::RefundDue);
            effects.push(MoneyEffect::CancelClosed);
        } else if order.payment_status == PaymentStatus::Pending {
            order.set_payment(PaymentStatus::RefundDue);
        }
        Ok(effects)
    }

    fn closed(&mut self, id: PaymentId, now: Timestamp) -> Vec<MoneyEffect> {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == id) {
            payment.ask_at = None;
            if let Some(state) = table::after(payment.state, NewsStatus::Failed) {
                (payment.state, payment.updated_at) = (state, now);
            }
        }
        Vec::new()
    }
}
