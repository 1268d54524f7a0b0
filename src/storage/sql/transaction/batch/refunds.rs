//! Refunds: demanded, begun, answered, late, and handled by operators.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use serde_json::json;

use crate::domain::ids::RefundId;
use crate::storage::commands::{
    BeginRefund, DemandRefund, HandleRefund, Outcome, RefundAnswered, RefundBegun, RefundLate, RefundOutcome,
    RefundWish,
};

use super::super::answer::Answer;
use super::Transaction;

impl Transaction<'_> {
    pub(super) fn demand_refund(&mut self, wish: &DemandRefund) -> Answer {
        let demand = wish.demand.clone();
        let (user, by_hand, reason) = (demand.user, demand.by_hand, demand.reason.clone());
        let result = self
            .with_money(wish.order, |money, order, now| money.demand(order, demand, RefundId::generate, now));
        let result = result.map(|result| {
            result.map(|(id, effects)| {
                self.follow_money(wish.order, &effects);
                let amount = self.moneys.refund(wish.order, id).map(|refund| refund.amount_minor);
                let detail =
                    json!({ "refund_id": id, "amount_minor": amount, "method": by_hand, "reason": reason });
                self.audit(user, "refund_demanded", wish.order, detail);
                id
            })
        });
        refund_changed(result)
    }

    pub(super) fn handle_refund(&mut self, wish: &HandleRefund) -> Answer {
        let (refund, user) = (wish.refund, wish.user);
        let result = self.with_money(wish.order, |money, order, now| match wish.wish.clone() {
            RefundWish::Retry => money.retry_refund(refund, now).map(|()| Vec::new()),
            RefundWish::Settle { way, reference } => {
                money.settle_refund(refund, order, (way, reference, user), RefundId::generate, now)
            }
        });
        let result = result.map(|result| {
            result.map(|effects| {
                self.follow_money(wish.order, &effects);
                let (action, way) = match &wish.wish {
                    RefundWish::Retry => ("refund_retried", None),
                    RefundWish::Settle { way, .. } => ("refund_settled", Some(way)),
                };
                self.audit(user, action, wish.order, json!({ "refund_id": refund, "method": way }));
                refund
            })
        });
        refund_changed(result)
    }

    pub(super) fn begin_refund(&mut self, begin: BeginRefund) -> Answer {
        let begun = self.with_money(begin.order, |money, _, now| {
            let (step, refund) = money.begin_refund(begin.refund, begin.attempt, now)?;
            let payment = money.payment(refund.payment)?;
            Some(RefundBegun {
                step,
                attempt: refund.attempt,
                payment: payment.id,
                amount_minor: refund.amount_minor,
                currency: payment.currency,
                key: refund.key(),
            })
        });
        Outcome::RefundBegun(begun.flatten()).into()
    }

    pub(super) fn refund_answered(&mut self, answered: &RefundAnswered) -> Answer {
        let RefundAnswered { refund, order, attempt, answer, .. } = answered;
        let effects = self.with_money(*order, |money, of, now| {
            money.refund_answered(*refund, *attempt, answer, of, RefundId::generate, now)
        });
        self.follow_money(*order, &effects.unwrap_or_default());
        Outcome::Done.into()
    }

    pub(super) fn refund_late(&mut self, late: RefundLate) -> Answer {
        let effects = self.with_money(late.order, |money, _, now| money.refund_late(late.refund, now));
        self.follow_money(late.order, &effects.unwrap_or_default());
        Outcome::Done.into()
    }
}

fn refund_changed(outcome: RefundOutcome) -> Answer {
    Outcome::RefundChanged(outcome).into()
}
