//! The data of an order's events. They never hold a phone number or an address.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::OrderId;
use crate::domain::money::Currency;
use crate::domain::notification::Notification;
use crate::domain::private::Private;
use crate::domain::time::Timestamp;

use super::edit::OrderField;
use super::ended::EndedReason;
use super::model::{Order, OrderItem, PaymentMethod, PaymentStatus};
use super::status::{Fulfilment, Status};

/// The data of `order_created`, `order_updated` and `order_cancelled`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OrderEvent {
    /// What both rooms of the order hear.
    #[serde(flatten)]
    pub summary: OrderSummary,
    /// In the business's room only.
    #[serde(flatten)]
    pub kitchen: Option<KitchenDetails>,
    /// What changed without a transition: `ready_at`, `address`, `phone`, `notes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub changed: Vec<OrderField>,
    /// In the business's room only, where one was stored with the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

/// An order in short.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OrderSummary {
    /// The order, `ord_…`.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// Short, unique for its business and day.
    pub order_number: String,
    /// Where it is now.
    #[schema(value_type = String)]
    pub status: Status,
    /// Counts changes of the status, from 1.
    pub version: i64,
    /// `delivery`, `pickup` or `dine_in`.
    #[schema(value_type = String)]
    pub fulfilment: Fulfilment,
    /// The sum of the items in minor units.
    pub total_minor: i64,
    /// The currency by ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// The name on the receipt.
    #[schema(value_type = String)]
    pub customer_name: Private<String>,
    /// The sum of the quantities.
    pub item_count: u64,
    /// There when it was rejected or cancelled, or has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub ended_reason: Option<EndedReason>,
}

/// All that a kitchen needs to show or print an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KitchenDetails {
    /// What was ordered.
    pub items: Vec<EventItem>,
    /// `null` without any.
    pub notes: Option<String>,
    /// How it is paid.
    pub payment: EventPayment,
    /// The table of a guest who eats in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u16>,
    /// Minutes from accepting until it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prep_minutes: Option<u16>,
    /// When it is to be ready, from accepting on; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub ready_at: Option<Timestamp>,
    /// When the hub will act on the present status by itself; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub deadline_at: Option<Timestamp>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventItem {
    /// The menu's code.
    pub sku: String,
    /// The menu's name at the time.
    pub name: String,
    /// Number of pieces.
    pub qty: u32,
}

/// How an order is paid and where the money is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventPayment {
    /// `online` or `cash`.
    #[schema(value_type = String)]
    pub method: PaymentMethod,
    /// `pending`, `paid`, `refund_due` or `uncollected`.
    #[schema(value_type = String)]
    pub status: PaymentStatus,
    /// Counts changes of the payment, from 1.
    pub version: i64,
}

/// The number of an order as people read it out.
pub fn order_number(number: u32) -> String {
    format!("{number:03}")
}

impl OrderSummary {
    /// The order as it is now.
    pub fn of(order: &Order) -> Self {
        Self {
            order_id: order.id,
            order_number: order_number(order.order_number),
            status: order.status,
            version: order.version,
            fulfilment: order.fulfilment,
            total_minor: order.total_minor,
            currency: order.currency,
            customer_name: Private(order.customer_name.clone()),
            item_count: order.items.iter().map(|item| u64::from(item.qty)).sum(),
            ended_reason: order.ended_reason.clone(),
        }
    }
}

impl KitchenDetails {
    /// The order as it is now.
    pub fn of(order: &Order) -> Self {
        let item =
            |item: &OrderItem| EventItem { sku: item.sku.clone(), name: item.name.clone(), qty: item.qty };
        Self {
            items: order.items.iter().map(item).collect(),
            notes: order.notes.clone(),
            payment: EventPayment {
                method: order.payment_method,
                status: order.payment_status,
                version: order.payment_version,
            },
            table: order.table,
            prep_minutes: order.prep_minutes,
            ready_at: order.ready_at,
            deadline_at: order.deadline_at,
        }
    }
}
