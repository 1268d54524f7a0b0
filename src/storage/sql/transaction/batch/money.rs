//! Payments, refunds and what the provider says, for orders whose money was read: the domain decides, and everything that follows
//! becomes part of the transaction.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::business::PaidVerdict;
use crate::domain::ids::{EventId, OrderId, RefundId, UserId};
use crate::domain::order::{Order, Party, PaymentStatus, Status};
use crate::domain::payment::told::{self, PaymentEventIds};
use crate::domain::payment::{InitiateRefusal, Initiated, MoneyEffect, OrderMoney, Payment, PaymentState};
use crate::domain::saga::{OrderSaga, SagaEffect, UnpaidFacts};
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AskPaymentAgain, InitiateOutcome, InitiatePayment, Outcome, PaymentOpened, RecordOutcome, RecordPayment,
};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::audit::AuditEntry;
use super::super::deadline_facts::saga_terms;
use super::super::moneys;
use super::super::orders::Mover;
use super::{Source, Transaction};

impl Transaction<'_> {
    /// Changes the money of an order that was read, and the order with it. `None`: there is no such order.
    pub(super) fn with_money<T>(
        &mut self,
        id: OrderId,
        change: impl FnOnce(&mut OrderMoney, &mut Order, Timestamp) -> T,
    ) -> Option<T> {
        let money = self.moneys.get_mut(id)?;
        let order = self.orders.get_mut(id)?;
        let version = order.payment_version;
        let result = change(money, order, self.now);
        let is_another = order.payment_version != version;
        if is_another {
            self.orders.touched(id);
        }
        Some(result)
    }

    /// After a move: makes the refunds due that the order owes now, and lets a payment be closed that nobody waits for any more.
    pub(super) async fn settle(&mut self, id: OrderId) -> Result<(), TxError> {
        if self.orders.get(id).is_some_and(Order::has_money_to_settle) {
            self.moneys.load(self.connection, &BTreeSet::from([id])).await?;
            self.with_money(id, |money, order, now| money.settle(order, RefundId::generate, now));
        }
        Ok(())
    }

    /// How far the payment is that an order waits for.
    pub(super) fn unpaid_facts(&self, id: OrderId) -> UnpaidFacts {
        if self.inbox.has_unprocessed(id) {
            UnpaidFacts::Unprocessed
        } else if self.moneys.get(id).is_some_and(|money| money.open().is_some()) {
            UnpaidFacts::Open
        } else {
            UnpaidFacts::Nothing
        }
    }

    pub(super) fn initiate_payment(&mut self, wish: &InitiatePayment) -> Answer {
        let begun = self.with_money(wish.order, |money, order, now| {
            let begun = money.initiate(order, wish.payment, wish.user, now);
            begun.map(|begun| match begun {
                Initiated::New(payment) => (payment, true),
                Initiated::Open(payment) => (payment, false),
            })
        });
        initiated(begun)
    }

    /// Notes where a payment is made, and answers with it while it is open.
    pub(super) fn payment_opened(&mut self, opened: &PaymentOpened) -> Answer {
        let PaymentOpened { payment, order, reference, redirect_url, .. } = opened.clone();
        let noted = self.with_money(order, |money, _, now| {
            let noted = money.opened(payment, reference, redirect_url, now)?;
            Some(match noted.state {
                PaymentState::Initiated => Ok((noted.clone(), false)),
                PaymentState::Failed => Err(InitiateRefusal::NotWaiting),
                PaymentState::Succeeded => Err(InitiateRefusal::Paid),
            })
        });
        initiated(noted.flatten())
    }

    pub(super) fn ask_payment_again(&mut self, ask: AskPaymentAgain) -> Answer {
        self.with_money(ask.order, |money, _, _| money.ask_again(ask.payment, ask.at));
        Outcome::Done.into()
    }

    /// Records what was paid otherwise. An order that waited for its payment is placed, whatever its business takes: somebody there
    /// took the money.
    pub(super) async fn record_payment(&mut self, record: &RecordPayment) -> Result<Answer, TxError> {
        self.refresh(record.business).await?;
        let recorded = record.recorded.clone();
        let (id, way, user) = (recorded.id, recorded.way, recorded.user);
        let outcome = self.with_money(record.order, |money, order, now| {
            money.record(order, recorded, RefundId::generate, now)
        });
        let effects = match outcome {
            None => return Ok(Outcome::PaymentRecorded(RecordOutcome::NoSuchOrder).into()),
            Some(Err(refusal)) => {
                return Ok(Outcome::PaymentRecorded(RecordOutcome::Refused(refusal)).into());
            }
            Some(Ok(effects)) => effects,
        };
        self.follow_money(record.order, &effects);
        self.audit(user, "payment_recorded", record.order, json!({ "payment_id": id, "method": way }));
        Ok(Answer::Recorded { step: self.orders.unchanged(record.order) })
    }

    /// Whether the business of an order takes it, if it is paid now.
    pub(super) async fn takes_paid(&mut self, order: OrderId) -> Result<bool, TxError> {
        let Some(order) = self.orders.get(order) else { return Ok(false) };
        let (business, waits) = (order.business_id, order.status == Status::PendingPayment);
        if !waits {
            return Ok(false);
        }
        self.refresh(business).await?;
        match self.catalog.of(business).0.map(|business| business.paid_verdict(self.now)) {
            Some(PaidVerdict::Takes) => Ok(true),
            Some(PaidVerdict::TakesIfReachable) => {
                moneys::is_reachable(self.connection, business, self.now).await
            }
            Some(PaidVerdict::Refuses) | None => Ok(false),
        }
    }

    /// The payment of an order that still waits for one is closed: what it waits for may be over.
    pub(super) fn payment_closed(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(id).filter(|order| order.status == Status::PendingPayment) else {
            return;
        };
        let business = order.business_id;
        let is_closed = self.moneys.get(id).is_some_and(|money| {
            money.open().is_none() && money.payments().iter().any(|one| one.state == PaymentState::Failed)
        });
        let now = self.now;
        let saga = self.sagas.of(id, business).filter(|_| is_closed);
        if saga.is_some_and(|saga| saga.saga.payment_closed(now)) {
            self.sagas.changed(id);
        }
    }

    /// Does what follows from a change of an order's money: first the order moves, then its rooms hear of the money.
    pub(super) fn follow_money(&mut self, id: OrderId, effects: &[MoneyEffect]) {
        for effect in effects {
            match effect {
                MoneyEffect::Place => self.paid(id, true),
                MoneyEffect::CancelClosed => self.paid(id, false),
                _ => {}
            }
        }
        for effect in effects {
            self.tell_of_money(id, *effect);
        }
    }

    /// Places the order, or cancels it because its business takes it no more.
    fn paid(&mut self, id: OrderId, takes: bool) {
        let Some(order) = self.orders.get_mut(id) else { return };
        let business = order.business_id;
        let terms = self.catalog.of(business).0.map(saga_terms).unwrap_or_default();
        // One that a newer release wrote is left alone; its nodes find that the order has moved.
        let mut absent = OrderSaga::default();
        let saga = self.sagas.of(id, business).map_or(&mut absent, |kept| &mut kept.saga);
        if let Some(SagaEffect::Moved { from, follows }) =
            saga.paid(order, takes, terms, &self.clocks, self.now)
        {
            self.sagas.changed(id);
            let mover = Mover { party: Party::System, user: None, reason: None };
            let step = self.orders.moved(id, from, follows, mover, self.now);
            self.sources.push(Source::Step(step));
        }
    }

    fn tell_of_money(&mut self, id: OrderId, effect: MoneyEffect) {
        let (Some(money), Some(order)) = (self.moneys.get(id), self.orders.get(id)) else { return };
        let ids = PaymentEventIds { in_business: EventId::generate(), in_order: EventId::generate() };
        match effect {
            MoneyEffect::Place | MoneyEffect::CancelClosed => {}
            MoneyEffect::Received(payment) => {
                if let Some(payment) = money.payment(payment) {
                    let told = told::received(payment, order, ids, self.now);
                    self.tell(told);
                }
            }
            MoneyEffect::Returned(refund) => {
                let refund = money.refund(refund);
                if let Some((refund, payment)) =
                    refund.and_then(|one| Some((one, money.payment(one.payment)?)))
                {
                    let told = told::refunded(refund, payment, order, ids, self.now);
                    self.tell(told);
                }
            }
            MoneyEffect::RefundFailed(refund) => {
                if let Some(alarm) = money.refund(refund).map(|refund| told::refund_alarm(refund, order)) {
                    self.alarm(alarm);
                }
            }
            MoneyEffect::ReturnedOutside(refund) => {
                if let Some(alarm) = money.refund(refund).map(|refund| told::outside_alarm(refund, order)) {
                    self.alarm(alarm);
                }
            }
        }
    }

    pub(super) fn audit(
        &mut self,
        user: UserId,
        action: &'static str,
        order: OrderId,
        detail: serde_json::Value,
    ) {
        self.audits.push(AuditEntry { user: Some(user), action, target: order.to_string(), detail });
    }
}

/// The answer about a payment that is open, and whether it was begun now. `None`: there is no such order or payment.
fn initiated(begun: Option<Result<(Payment, bool), InitiateRefusal>>) -> Answer {
    let outcome = match begun {
        None => InitiateOutcome::NoSuchOrder,
        Some(Err(refusal)) => InitiateOutcome::Refused(refusal),
        Some(Ok((payment, is_new))) => InitiateOutcome::Open {
            payment: payment.id,
            is_new,
            amount_minor: payment.amount_minor,
            redirect_url: payment.redirect_url,
        },
    };
    Outcome::PaymentInitiated(outcome).into()
}

/// Whether an order that is paid at hand-over, or not at all, has no money that the hub knows.
pub(super) fn has_money(order: &Order) -> bool {
    order.may_owe() || matches!(order.payment_status, PaymentStatus::RefundDue | PaymentStatus::Refunded)
}
