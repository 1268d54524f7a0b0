//! Payments and refunds as answers show them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::money::Currency;
use crate::domain::payment::{MoneyWay, Payment, Refund};
use crate::domain::time::Timestamp;

/// A payment that the customer can make.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct InitiatedPaymentView {
    /// `pay_…`: the provider knows the payment by it.
    #[schema(example = "pay_0190f3c1a2b37d4e8f00112233445566")]
    pub payment_id: String,
    /// The order, `ord_…`.
    pub order_id: String,
    /// What is to be paid, in minor units.
    #[schema(example = 600)]
    pub amount_minor: i64,
    /// The currency by ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// Where the customer pays; `null` when it ended before the provider had said so.
    #[schema(example = "https://pay.example.com/0190f3c1")]
    pub redirect_url: Option<String>,
}

impl InitiatedPaymentView {
    /// The payment as its customer sees it.
    pub fn of(payment: &Payment) -> Self {
        let amount = (payment.amount_minor, payment.currency);
        Self::new(payment.id, payment.order, amount, payment.redirect_url.clone())
    }

    /// A payment of an order.
    pub fn new(
        payment: PaymentId,
        order: OrderId,
        (amount_minor, currency): (i64, Currency),
        redirect_url: Option<String>,
    ) -> Self {
        Self {
            payment_id: payment.to_string(),
            order_id: order.to_string(),
            amount_minor,
            currency: currency.to_string(),
            redirect_url,
        }
    }
}

/// A payment that a person recorded.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RecordedPaymentView {
    /// The payment, `pay_…`.
    #[schema(example = "pay_0190f3c1a2b37d4e8f00112233445566")]
    pub payment_id: String,
    /// The order, `ord_…`.
    pub order_id: String,
    /// What was paid, in minor units: all of the order.
    #[schema(example = 600)]
    pub amount_minor: i64,
    /// The currency by ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// `terminal`, `transfer` or `cash`.
    #[schema(example = "terminal")]
    pub method: &'static str,
    /// The number on the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0042-17")]
    pub reference: Option<String>,
}

impl RecordedPaymentView {
    /// The payment of an order that is to be recorded.
    pub fn new(
        payment: PaymentId,
        order: OrderId,
        (amount_minor, currency): (i64, Currency),
        (way, reference): (MoneyWay, Option<String>),
    ) -> Self {
        Self {
            payment_id: payment.to_string(),
            order_id: order.to_string(),
            amount_minor,
            currency: currency.to_string(),
            method: way.as_str(),
            reference,
        }
    }
}

/// A refund and the payment it is of.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RefundView {
    /// `ref_…`: the provider knows the refund by it.
    #[schema(example = "ref_0190f3c1a2b37d4e8f00112233445566")]
    pub id: String,
    /// `pay_…`: the payment it is of.
    pub payment_id: String,
    /// The order, `ord_…`.
    pub order_id: String,
    /// How much, in minor units.
    #[schema(example = 250)]
    pub amount_minor: i64,
    /// The currency by ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// `due`, `sent`, `succeeded`, `failed` or `unknown`: sent without an answer.
    #[schema(example = "due")]
    pub state: &'static str,
    /// `automatic`, `demanded`, or `outside`: the provider told of it.
    #[schema(example = "demanded")]
    pub cause: &'static str,
    /// How it goes back: `online` by the provider; `terminal`, `transfer` and `cash` by a person.
    #[schema(example = "online")]
    pub method: &'static str,
    /// Why, in the words of who demanded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "The drink was missing")]
    pub reason: Option<String>,
    /// The provider's name for it, or the number on the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who demanded it, or settled it by hand; `usr_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// How often it was begun to be sent.
    #[schema(example = 1)]
    pub attempts: u32,
    /// When the hub works on it next; RFC 3339. Left out where a person has to, or nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// Time by RFC 3339, UTC.
    pub created_at: String,
    /// When its state last changed; RFC 3339.
    pub updated_at: String,
}

impl RefundView {
    /// The refund, of a payment in this currency.
    pub fn new(refund: &Refund, currency: Currency) -> Self {
        Self {
            id: refund.id.to_string(),
            payment_id: refund.payment.to_string(),
            order_id: refund.order.to_string(),
            amount_minor: refund.amount_minor,
            currency: currency.to_string(),
            state: refund.state.as_str(),
            cause: refund.cause.as_str(),
            method: refund.way.as_str(),
            reason: refund.reason.clone(),
            reference: refund.reference.clone(),
            user_id: refund.user.map(|user| user.to_string()),
            attempts: refund.attempt,
            due_at: refund.due_at.map(Timestamp::to_rfc3339),
            created_at: refund.created_at.to_rfc3339(),
            updated_at: refund.updated_at.to_rfc3339(),
        }
    }
}
