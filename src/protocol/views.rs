//! An order as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::order::table::Way;
use crate::domain::order::{EndedReason, Order, OrderItem, order_number};
use crate::domain::time::Timestamp;

use super::driver_views::CourierView;

/// Whether the one who looks may see phone and address: the customer always, members and the assigned driver
/// until the order ends, and for a while after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Phone and address are shown.
    Shown,
    /// Phone and address are left out.
    Hidden,
}

/// The customer of an order.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct CustomerView {
    /// The name on the receipt.
    pub name: String,
    /// Left out for those who may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl CustomerView {
    /// The customer of an order, with the phone number for those who may see it.
    pub(super) fn of(order: &Order, shows_phone: bool) -> Self {
        let phone = order.phone.clone().filter(|_| shows_phone);
        Self { name: order.customer_name.clone(), phone }
    }
}

/// Where a delivery goes.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct AddressView {
    /// As a person would write it.
    pub text: String,
    /// Degrees, north is positive.
    pub lat: f64,
    /// Degrees, east is positive.
    pub lng: f64,
}

/// How an order is paid and where the money is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PaymentView {
    /// `online` or `cash`.
    pub method: String,
    /// `pending`, `paid`, `refund_due`, `refunded` or `uncollected`.
    pub status: String,
    /// Counts changes of the payment.
    pub version: i64,
}

/// How far a delivery is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeliveryView {
    /// The delivery by drivers of the hub, `dlv_…`; left out where the business brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `unassigned` until somebody has it; drivers of the hub are `offered` it and go on by `assigned`, `at_pickup`, `picked_up` and
    /// `at_dropoff`, a business by `picked_up`; then `delivered` or `failed`, maybe `returned`; `cancelled` when the order ended before.
    pub status: String,
    /// Counts changes of the delivery.
    pub version: i64,
    /// The driver who has it or had it at its end. Only where one order is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<CourierView>,
    /// The four digits that the driver needs: for the customer, while it is on its way. Only where one order is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4711")]
    pub code: Option<String>,
}

impl DeliveryView {
    fn of(order: &Order) -> Option<Self> {
        let status = order.delivery_status()?;
        let by_drivers = order.delivery.filter(|_| order.way() == Way::DriverDelivery);
        Some(Self {
            id: by_drivers.map(|delivery| delivery.id.to_string()),
            status: status.as_str().to_owned(),
            version: order.delivery_version,
            driver: None,
            code: None,
        })
    }
}

/// Why an order was rejected or cancelled, or has failed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EndedReasonView {
    /// Who or what ended it: `merchant`, `customer`, `operator`, `driver`, `unanswered`, `unpaid`, `no_driver` or
    /// `business_closed`.
    #[schema(example = "merchant")]
    pub code: String,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "The oven broke")]
    pub text: Option<String>,
}

impl EndedReasonView {
    fn of(reason: &EndedReason) -> Self {
        Self { code: reason.code.as_str().to_owned(), text: reason.text.clone() }
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ItemView {
    /// The menu's code.
    pub sku: String,
    /// The menu's name at the time.
    pub name: String,
    /// Number of pieces.
    pub qty: u32,
    /// Price of one at the time, in minor units.
    pub price_minor: i64,
}

impl ItemView {
    /// One line of an order.
    pub fn of(item: &OrderItem) -> Self {
        Self { sku: item.sku.clone(), name: item.name.clone(), qty: item.qty, price_minor: item.price_minor }
    }
}

/// An order as clients see it.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct OrderView {
    /// Its id, `ord_…`.
    pub id: String,
    /// Short, unique for its business and day.
    pub order_number: String,
    /// The business, `biz_…`.
    pub business_id: String,
    /// The user who ordered, `usr_…`.
    pub customer: CustomerView,
    /// `delivery`, `pickup` or `dine_in`.
    pub fulfilment: String,
    /// Where it stands.
    pub status: String,
    /// How far it is, for deliveries only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryView>,
    /// How it is paid.
    pub payment: PaymentView,
    /// What was ordered.
    pub items: Vec<ItemView>,
    /// The sum of the items in minor units.
    pub total_minor: i64,
    /// The currency by ISO 4217.
    pub currency: String,
    /// For the kitchen; `null` without any.
    pub notes: Option<String>,
    /// The table of a guest who eats in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u16>,
    /// Minutes from accepting until it is ready: those the merchant promised, else what the business took then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prep_minutes: Option<u16>,
    /// When it is to be ready, from accepting on; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
    /// When it entered `placed`; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<String>,
    /// When it was accepted or rejected; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<String>,
    /// When the hub will act on the present status by itself; RFC 3339. Left out where it will not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<String>,
    /// Who brings a delivery, from accepting on: `business` or `drivers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "business")]
    pub delivered_by: Option<String>,
    /// Why it was rejected or cancelled, or has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_reason: Option<EndedReasonView>,
    /// Where a delivery goes; left out for those who may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressView>,
    /// Counts changes of the status; send it back with a move.
    pub version: i64,
    /// Time by RFC 3339, UTC.
    pub created_at: String,
    /// Time by RFC 3339, UTC.
    pub updated_at: String,
}

impl PaymentView {
    /// How an order is paid.
    pub fn of(order: &Order) -> Self {
        Self {
            method: order.payment_method.as_str().to_owned(),
            status: order.payment_status.as_str().to_owned(),
            version: order.payment_version,
        }
    }
}

impl OrderView {
    /// The order as somebody sees it who may or may not see its contact.
    pub fn new(order: &Order, contact: Contact) -> Self {
        let shown = contact == Contact::Shown;
        Self {
            id: order.id.to_string(),
            order_number: order_number(order.order_number),
            business_id: order.business_id.to_string(),
            customer: CustomerView::of(order, shown),
            fulfilment: order.fulfilment.as_str().to_owned(),
            status: order.status.as_str().to_owned(),
            delivery: DeliveryView::of(order),
            payment: PaymentView::of(order),
            items: order.items.iter().map(ItemView::of).collect(),
            total_minor: order.total_minor,
            currency: order.currency.to_string(),
            notes: order.notes.clone(),
            table: order.table,
            prep_minutes: order.prep_minutes,
            ready_at: order.ready_at.map(Timestamp::to_rfc3339),
            placed_at: order.placed_at.map(Timestamp::to_rfc3339),
            answered_at: order.answered_at.map(Timestamp::to_rfc3339),
            deadline_at: order.deadline_at.map(Timestamp::to_rfc3339),
            delivered_by: order.delivered_by.map(|by| by.as_str().to_owned()),
            ended_reason: order.ended_reason.as_ref().map(EndedReasonView::of),
            address: order.address.as_ref().filter(|_| shown).map(|a| AddressView {
                text: a.text.clone(),
                lat: a.location.lat,
                lng: a.location.lng,
            }),
            version: order.version,
            created_at: order.created_at.to_rfc3339(),
            updated_at: order.updated_at.to_rfc3339(),
        }
    }
}
