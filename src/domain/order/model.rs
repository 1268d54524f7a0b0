//! An order as the store keeps it.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{DeliveredBy, Delivery, DeliveryStatus};
use crate::domain::ids::{BusinessId, DeliveryId, OrderId, UserId};
use crate::domain::location::Location;
use crate::domain::money::Currency;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::ended::EndedReason;
use super::status::{Fulfilment, Party, Status};
use super::table::Way;

string_enum! {
    /// The payment method of an order.
    pub enum PaymentMethod {
        /// Paid before the business sees the order.
        Online = "online",
        /// Paid at hand-over.
        Cash = "cash",
    }
}

string_enum! {
    /// The state of the payment of an order.
    pub enum PaymentStatus {
        /// The money is not taken yet.
        Pending = "pending",
        /// The money is taken.
        Paid = "paid",
        /// The money is taken and owed to the customer.
        RefundDue = "refund_due",
        /// All of the money has gone back to the customer.
        Refunded = "refunded",
        /// Cash that nobody took when the order ended.
        Uncollected = "uncollected",
    }
}

/// Where a delivery is taken.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// As a person would write it.
    pub text: String,
    /// Where that is.
    #[serde(flatten)]
    pub location: Location,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// The delivery of an order by drivers of the hub, as far as the order itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderDriver {
    /// The id of the delivery.
    pub id: DeliveryId,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Who has it, or had it at its end.
    pub driver: Option<UserId>,
}

/// One line of an order, priced when it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The menu's code.
    pub sku: String,
    /// The menu's name at the time.
    pub name: String,
    /// Number of pieces.
    pub qty: u32,
    /// Price of one at the time, in minor units.
    pub price_minor: i64,
}

/// An order as the store keeps it, phone and address in the clear.
#[derive(Clone, PartialEq)]
pub struct Order {
    /// An id that begins with `ord_`.
    pub id: OrderId,
    /// Short, unique for its business and day.
    pub order_number: u32,
    /// Where it was placed.
    pub business_id: BusinessId,
    /// Who placed it.
    pub customer_id: UserId,
    /// The name on the receipt.
    pub customer_name: String,
    /// How to reach the customer.
    pub phone: Option<String>,
    /// Where to take it.
    pub address: Option<Address>,
    /// How the customer gets it.
    pub fulfilment: Fulfilment,
    /// Where it stands.
    pub status: Status,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// Where the money is.
    pub payment_status: PaymentStatus,
    /// What was ordered.
    pub items: Vec<OrderItem>,
    /// The sum of the items.
    pub total_minor: i64,
    /// The business's currency at the time.
    pub currency: Currency,
    /// For the kitchen.
    pub notes: Option<String>,
    /// The table of a guest who eats in.
    pub table: Option<u16>,
    /// Minutes from accepting until it is ready: those the merchant named, else what the business takes then.
    pub prep_minutes: Option<u16>,
    /// When it is to be ready: when it was accepted, and the preparation.
    pub ready_at: Option<Timestamp>,
    /// Who brings it; said when a delivery is accepted, and the same from then on.
    pub delivered_by: Option<DeliveredBy>,
    /// How its delivery by drivers of the hub stands; `None`: it has none.
    pub delivery: Option<OrderDriver>,
    /// Why it was rejected or cancelled, or has failed.
    pub ended_reason: Option<EndedReason>,
    /// In which capacity it was placed.
    pub placed_by: Party,
    /// The store's time of the commit that entered `placed`; every clock of its alert starts there.
    pub placed_at: Option<Timestamp>,
    /// When a person or the business's own rule answered it.
    pub answered_at: Option<Timestamp>,
    /// When the hub will act on the present status by itself.
    pub deadline_at: Option<Timestamp>,
    /// Counts changes of the status, from 1.
    pub version: i64,
    /// Counts changes of the delivery, from 1.
    pub delivery_version: i64,
    /// Counts changes of the payment, from 1.
    pub payment_version: i64,
    /// Counts changes of what it says (address, phone, notes, `ready_at`) without a transition, from 0.
    pub edits: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what says who it is for and where they live.
        f.debug_struct("Order")
            .field("id", &self.id)
            .field("order_number", &self.order_number)
            .field("business_id", &self.business_id)
            .field("customer_id", &self.customer_id)
            .field("fulfilment", &self.fulfilment)
            .field("status", &self.status)
            .field("payment_method", &self.payment_method)
            .field("payment_status", &self.payment_status)
            .field("items", &self.items)
            .field("total_minor", &self.total_minor)
            .field("prep_minutes", &self.prep_minutes)
            .field("version", &self.version)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

impl Order {
    /// By which lines of the table it moves.
    pub fn way(&self) -> Way {
        Way::of(self.fulfilment, self.delivered_by.unwrap_or_default())
    }

    /// Says how its delivery stands; another status or driver counts as a change of its delivery. Whether it is one.
    pub fn set_delivery(&mut self, delivery: &Delivery) -> bool {
        let now = OrderDriver { id: delivery.id, status: delivery.status, driver: delivery.driver };
        let is_new = self.delivery.replace(now) != Some(now);
        self.delivery_version += i64::from(is_new);
        is_new
    }

    /// How far its delivery is; `None` where there is nothing to deliver.
    pub fn delivery_status(&self) -> Option<DeliveryStatus> {
        if self.fulfilment != Fulfilment::Delivery {
            return None;
        }
        if let Some(delivery) = self.delivery.filter(|_| self.way() == Way::DriverDelivery) {
            return Some(delivery.status);
        }
        Some(match self.status {
            Status::PickedUp => DeliveryStatus::PickedUp,
            Status::Delivered => DeliveryStatus::Delivered,
            Status::Failed => DeliveryStatus::Failed,
            Status::Rejected | Status::Cancelled => DeliveryStatus::Cancelled,
            Status::PendingPayment
            | Status::Placed
            | Status::Accepted
            | Status::Preparing
            | Status::Ready => DeliveryStatus::Unassigned,
        })
    }
}
