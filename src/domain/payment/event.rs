//! The data of the events of money.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::money::Currency;

use super::model::MoneyWay;

/// The data of `payment_received` and `payment_refunded`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PaymentEvent {
    /// The order, `ord_…`.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// The payment, `pay_…`.
    #[schema(value_type = String)]
    pub payment_id: PaymentId,
    /// How much was received or has gone back, in minor units.
    pub amount_minor: i64,
    /// The currency by ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// How: `online`, `terminal`, `transfer` or `cash`.
    #[schema(value_type = String)]
    pub method: MoneyWay,
    /// Counts changes of the order's `payment.status`, from 1: a client keeps what it has of a later one.
    pub payment_version: i64,
}
