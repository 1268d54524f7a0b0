//! Payments that are begun, closed, and recorded by people.

use std::time::Duration;

use crate::domain::ids::{PaymentId, RefundId, UserId};
use crate::domain::order::{Order, PaymentMethod, PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::ledger::{MoneyEffect, OrderMoney};
use super::model::{MoneyWay, Payment, PaymentState};

/// Most payments of one order: attempts to pay that failed, among them.
pub(super) const MAX_PAYMENTS: usize = 20;

/// Time in which a call that opens a payment may still come to the provider: longer than the hub waits for its answer.
const OPENING_WITHIN: Duration = Duration::from_secs(30);

/// The answer to the wish to pay an order online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initiated {
    /// A payment was begun.
    New(Payment),
    /// One is open already.
    Open(Payment),
}

/// Why no payment was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitiateRefusal {
    /// The order is paid at hand-over.
    NotOnline,
    /// The order is paid already.
    Paid,
    /// The order has ended or does not wait for a payment.
    NotWaiting,
    /// As many payments of the order as may be have failed.
    TooMany,
}

/// What a person recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id that the payment has.
    pub id: PaymentId,
    /// How it was paid; not `online`.
    pub way: MoneyWay,
    /// The receipt of it.
    pub reference: Option<String>,
    /// Who recorded it.
    pub user: UserId,
}

/// Why a payment was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordRefusal {
    /// The order is paid already, or its money has gone back.
    Paid,
    /// The order has ended without owing anything.
    Ended,
    /// As many payments of the order as may be are there.
    TooMany,
}

impl Payment {
    /// A payment of everything that an order costs, of which nothing is captured yet.
    fn begun(id: PaymentId, order: &Order, way: MoneyWay, user: UserId, now: Timestamp) -> Self {
        Self {
            id,
            order: order.id,
            amount_minor: order.total_minor,
            currency: order.currency,
            way,
            state: PaymentState::Initiated,
            counts: false,
            captured_minor: 0,
            refunded_minor: 0,
            reference: None,
            redirect_url: None,
            user,
            ask_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Whether the provider may still be told to open a payment at `now` that was last begun at `begun_at`: until then it proves nothing
/// that the provider does not know it.
pub fn may_be_opening(begun_at: Timestamp, now: Timestamp) -> bool {
    now < begun_at.plus(OPENING_WITHIN)
}

impl OrderMoney {
    /// Begins a payment through the provider, under this id, or gives the open one.
    ///
    /// # Errors
    /// The order cannot be paid online now; nothing has changed.
    pub fn initiate(
        &mut self,
        order: &Order,
        id: PaymentId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Initiated, InitiateRefusal> {
        if order.payment_method != PaymentMethod::Online {
            return Err(InitiateRefusal::NotOnline);
        }
        if order.payment_status != PaymentStatus::Pending {
            return Err(InitiateRefusal::Paid);
        }
        if order.status != Status::PendingPayment {
            return Err(InitiateRefusal::NotWaiting);
        }
        let mut payments = self.payments.iter_mut();
        if let Some(open) = payments.find(|payment| payment.state == PaymentState::Initiated) {
            // Nothing more is begun at the provider for one that is being closed.
            if !open.is_open() {
                return Err(InitiateRefusal::NotWaiting);
            }
            if open.redirect_url.is_none() {
                // It is opened at the provider once more.
                open.updated_at = now;
            }
            return Ok(Initiated::Open(open.clone()));
        }
        if self.payments.len() >= MAX_PAYMENTS {
            return Err(InitiateRefusal::TooMany);
        }
        let payment = Payment::begun(id, order, MoneyWay::Online, user, now);
        self.payments.push(payment.clone());
        Ok(Initiated::New(payment))
    }

    /// Notes where the customer pays. A payment that was closed while it was opened keeps what it has and is closed again, since the
    /// provider may have been told in that order.
    pub fn opened(
        &mut self,
        id: PaymentId,
        reference: Option<String>,
        redirect_url: String,
        now: Timestamp,
    ) -> Option<&Payment> {
        let payment = self.payments.iter_mut().find(|payment| payment.id == id)?;
        match payment.state {
            PaymentState::Initiated if payment.redirect_url.is_none() => {
                (payment.reference, payment.redirect_url, payment.updated_at) =
                    (reference, Some(redirect_url), now);
            }
            PaymentState::Failed => payment.ask_at = payment.ask_at.or(Some(now)),
            PaymentState::Initiated | PaymentState::Succeeded => {}
        }
        Some(payment)
    }

    /// Lets the provider be asked about the open payment, and told to close it, from `at` on. Whether there is one.
    pub fn ask(&mut self, at: Timestamp) -> bool {
        let open = self.payments.iter_mut().find(|payment| payment.state == PaymentState::Initiated);
        open.map(|payment| payment.ask_at = payment.ask_at.or(Some(at))).is_some()
    }

    /// The provider did not say what became of a payment that it was to close: it is asked again at `at`.
    pub fn ask_again(&mut self, id: PaymentId, at: Timestamp) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == id)
            && payment.ask_at.is_some()
        {
            payment.ask_at = Some(at);
        }
    }

    /// Records what was paid otherwise: an order that waits for its payment is placed by it.
    ///
    /// # Errors
    /// The order is not one to be paid; nothing has changed.
    pub fn record(
        &mut self,
        order: &mut Order,
        recorded: Recorded,
        new_refund: impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, RecordRefusal> {
        match order.payment_status {
            PaymentStatus::Paid | PaymentStatus::RefundDue | PaymentStatus::Refunded => {
                return Err(RecordRefusal::Paid);
            }
            PaymentStatus::Pending if order.status.is_end() => return Err(RecordRefusal::Ended),
            PaymentStatus::Pending | PaymentStatus::Uncollected => {}
        }
        if self.payments.len() >= MAX_PAYMENTS {
            return Err(RecordRefusal::TooMany);
        }
        let Recorded { id, way, reference, user } = recorded;
        self.payments.push(Payment {
            state: PaymentState::Succeeded,
            counts: true,
            captured_minor: order.total_minor,
            reference,
            ..Payment::begun(id, order, way, user, now)
        });
        order.set_payment(PaymentStatus::Paid);
        let mut effects = vec![MoneyEffect::Received(id)];
        if order.status == Status::PendingPayment {
            effects.push(MoneyEffect::Place);
        }
        // This also closes a payment that is open at the provider, so that nobody pays twice.
        self.settle(order, new_refund, now);
        Ok(effects)
    }
}
