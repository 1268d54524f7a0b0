//! Payments and refunds.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::domain::payment::{Payment, Refund};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

use super::values::{corrupt, micros, number, parse, time};

/// The columns of [`PaymentRow`], of `payments p`.
pub(in crate::storage::sql) const PAYMENT_COLUMNS: &str = "p.id, p.order_id, p.business_id, p.amount_minor, p.currency, p.way, p.state, \
     p.counts, p.captured_minor, p.refunded_minor, p.promised_minor, p.reference, p.redirect_url, p.user_id, p.ask_at, p.created_at, \
     p.updated_at";

/// The columns of [`RefundRow`], of `refunds f`.
pub(in crate::storage::sql) const REFUND_COLUMNS: &str = "f.id, f.payment_id, f.order_id, f.business_id, f.amount_minor, f.cause, f.reason, \
     f.way, f.reference, f.state, f.attempt, f.retries, f.first_sent_at, f.due_at, f.alarm_at, f.told, f.user_id, f.created_at, \
     f.updated_at";

#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct PaymentRow {
    id: String,
    pub(in crate::storage::sql) order_id: String,
    business_id: String,
    amount_minor: i64,
    currency: String,
    way: String,
    state: String,
    counts: bool,
    captured_minor: i64,
    refunded_minor: i64,
    promised_minor: i64,
    reference: Option<String>,
    redirect_url: Option<String>,
    user_id: String,
    ask_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl PaymentRow {
    /// The row of a payment of which so much is promised.
    pub(in crate::storage::sql) fn of(payment: &Payment, business: BusinessId, promised_minor: i64) -> Self {
        Self {
            id: payment.id.to_string(),
            order_id: payment.order.to_string(),
            business_id: business.to_string(),
            amount_minor: payment.amount_minor,
            currency: payment.currency.to_string(),
            way: payment.way.to_string(),
            state: payment.state.to_string(),
            counts: payment.counts,
            captured_minor: payment.captured_minor,
            refunded_minor: payment.refunded_minor,
            promised_minor,
            reference: payment.reference.clone(),
            redirect_url: payment.redirect_url.clone(),
            user_id: payment.user.to_string(),
            ask_at: micros(payment.ask_at),
            created_at: payment.created_at.as_micros(),
            updated_at: payment.updated_at.as_micros(),
        }
    }

    pub(in crate::storage::sql) fn into_payment(self) -> Result<Payment, StoreError> {
        Ok(Payment {
            id: parse("payments.id", &self.id)?,
            order: parse("payments.order_id", &self.order_id)?,
            amount_minor: self.amount_minor,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("payments.currency"))?,
            way: parse("payments.way", &self.way)?,
            state: parse("payments.state", &self.state)?,
            counts: self.counts,
            captured_minor: self.captured_minor,
            refunded_minor: self.refunded_minor,
            reference: self.reference,
            redirect_url: self.redirect_url,
            user: parse("payments.user_id", &self.user_id)?,
            ask_at: time(self.ask_at),
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct RefundRow {
    id: String,
    payment_id: String,
    pub(in crate::storage::sql) order_id: String,
    pub(in crate::storage::sql) business_id: String,
    amount_minor: i64,
    cause: String,
    reason: Option<String>,
    way: String,
    reference: Option<String>,
    state: String,
    attempt: i64,
    retries: i64,
    first_sent_at: Option<i64>,
    due_at: Option<i64>,
    alarm_at: Option<i64>,
    told: bool,
    user_id: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl RefundRow {
    pub(in crate::storage::sql) fn of(refund: &Refund, business: BusinessId) -> Self {
        Self {
            id: refund.id.to_string(),
            payment_id: refund.payment.to_string(),
            order_id: refund.order.to_string(),
            business_id: business.to_string(),
            amount_minor: refund.amount_minor,
            cause: refund.cause.to_string(),
            reason: refund.reason.clone(),
            way: refund.way.to_string(),
            reference: refund.reference.clone(),
            state: refund.state.to_string(),
            attempt: refund.attempt.into(),
            retries: refund.retries.into(),
            first_sent_at: micros(refund.first_sent_at),
            due_at: micros(refund.due_at),
            alarm_at: micros(refund.alarm_at),
            told: refund.told,
            user_id: refund.user.map(|user| user.to_string()),
            created_at: refund.created_at.as_micros(),
            updated_at: refund.updated_at.as_micros(),
        }
    }

    pub(in crate::storage::sql) fn into_refund(self) -> Result<Refund, StoreError> {
        Ok(Refund {
            id: parse("refunds.id", &self.id)?,
            payment: parse("refunds.payment_id", &self.payment_id)?,
            order: parse("refunds.order_id", &self.order_id)?,
            amount_minor: self.amount_minor,
            cause: parse("refunds.cause", &self.cause)?,
            reason: self.reason,
            way: parse("refunds.way", &self.way)?,
            reference: self.reference,
            state: parse("refunds.state", &self.state)?,
            attempt: number("refunds.attempt", self.attempt)?,
            retries: number("refunds.retries", self.retries)?,
            first_sent_at: time(self.first_sent_at),
            due_at: time(self.due_at),
            alarm_at: time(self.alarm_at),
            told: self.told,
            user: self.user_id.map(|user| parse("refunds.user_id", &user)).transpose()?,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}
