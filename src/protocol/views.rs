//! The shapes of answers, and the data of events.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::event::{EventType, NewEvent, Notification, Priority};
use crate::domain::ids::{EventId, NotificationId};
use crate::domain::json::JsonObject;
use crate::domain::order::{EndedReason, Order, OrderItem};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

/// Whether the one who looks may see phone and address: the customer always, members and the assigned driver
/// until the order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Shown.
    Shown,
    /// Left out.
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

/// Where a delivery goes.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct AddressView {
    /// As a person would write it.
    pub text: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

/// How an order is paid and where the money is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PaymentView {
    /// `online` or `cash`.
    pub method: String,
    /// `pending`, `paid` or `refund_due`.
    pub status: String,
    /// Counts changes of the payment.
    pub version: i64,
}

/// How far a delivery is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeliveryView {
    /// `unassigned` until somebody has it, then `picked_up` and `delivered` or `failed`; `cancelled` when the order ended before.
    pub status: String,
    /// Counts changes of the delivery.
    pub version: i64,
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
    /// How many.
    pub qty: u32,
    /// Price of one at the time, in minor units.
    pub price_minor: i64,
}

/// An order as clients see it.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct OrderView {
    /// `ord_…`
    pub id: String,
    /// Short, unique for its business and day.
    pub order_number: String,
    /// `biz_…`
    pub business_id: String,
    /// Who ordered.
    pub customer: CustomerView,
    /// `delivery`, `pickup` or `dine_in`.
    pub fulfilment: String,
    /// Where it stands.
    pub status: String,
    /// For deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryView>,
    /// How it is paid.
    pub payment: PaymentView,
    /// What was ordered.
    pub items: Vec<ItemView>,
    /// The sum of the items in minor units.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// For the kitchen; `null` without any.
    pub notes: Option<String>,
    /// For dine-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u16>,
    /// Minutes from accepting until it is ready: those the merchant promised, else what the business took then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prep_minutes: Option<u16>,
    /// When it is to be ready, from accepting on; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
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
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// The number of an order as people read it out.
pub fn order_number(number: u32) -> String {
    format!("{number:03}")
}

impl PaymentView {
    fn of(order: &Order) -> Self {
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
            customer: CustomerView {
                name: order.customer_name.clone(),
                phone: order.phone.clone().filter(|_| shown),
            },
            fulfilment: order.fulfilment.as_str().to_owned(),
            status: order.status.as_str().to_owned(),
            delivery: order.delivery_status().map(|status| DeliveryView {
                status: status.as_str().to_owned(),
                version: order.delivery_version,
            }),
            payment: PaymentView::of(order),
            items: order
                .items
                .iter()
                .map(|i| ItemView {
                    sku: i.sku.clone(),
                    name: i.name.clone(),
                    qty: i.qty,
                    price_minor: i.price_minor,
                })
                .collect(),
            total_minor: order.total_minor,
            currency: order.currency.to_string(),
            notes: order.notes.clone(),
            table: order.table,
            prep_minutes: order.prep_minutes,
            ready_at: order.ready_at.map(Timestamp::to_rfc3339),
            // Nothing ends an order by itself yet.
            deadline_at: None,
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

/// The notification a business gets when an order enters `placed`.
pub fn new_order_notification(order: &Order, id: NotificationId, now: Timestamp) -> Notification {
    let number = order_number(order.order_number);
    Notification {
        id,
        business_id: order.business_id,
        kind: "NEW_ORDER".to_owned(),
        title: "New Order Received".to_owned(),
        message: format!("Order #{number} from {}", order.customer_name),
        data: JsonObject::try_from(json!({ "order_id": order.id, "order_number": number }))
            .expect("two texts are an object"),
        priority: Priority::High,
        created_at: now,
    }
}

/// What both rooms of an order hear when it has arrived in its present status: first the business, with all that a kitchen needs to
/// show or print it, then the order's own room. Nothing while the order waits for its payment. Never a phone number or an address.
pub fn order_events(
    order: &Order,
    notification: Option<&Notification>,
    ids: [EventId; 2],
    now: Timestamp,
) -> Vec<NewEvent> {
    let Some(kind) = order.status.announced_as() else { return Vec::new() };
    let mut data = json!({
        "order_id": order.id,
        "order_number": order_number(order.order_number),
        "status": order.status,
        "version": order.version,
        "fulfilment": order.fulfilment,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "customer_name": order.customer_name,
        "item_count": order.items.iter().map(|i| u64::from(i.qty)).sum::<u64>(),
    });
    if let (Some(reason), Some(fields)) = (&order.ended_reason, data.as_object_mut()) {
        fields.insert("ended_reason".to_owned(), json!(EndedReasonView::of(reason)));
    }
    let mut for_business = data.clone();
    if let Some(fields) = for_business.as_object_mut() {
        for_kitchen(order, |name, value| {
            fields.insert(name.to_owned(), value);
        });
        if let Some(notification) = notification {
            fields.insert("notification".to_owned(), json!(notification));
        }
    }
    let event = |id, room, kind, data| NewEvent { id, room, kind, at: now, data };
    vec![
        event(ids[0], RoomId::Business(order.business_id), kind, for_business),
        event(ids[1], RoomId::Order(order.id), kind, data),
    ]
}

fn for_kitchen(order: &Order, mut add: impl FnMut(&str, Value)) {
    let item = |item: &OrderItem| json!({ "sku": item.sku, "name": item.name, "qty": item.qty });
    add("items", order.items.iter().map(item).collect());
    add("notes", json!(order.notes));
    add("payment", json!(PaymentView::of(order)));
    for (name, value) in [
        ("table", order.table.map(|table| json!(table))),
        ("prep_minutes", order.prep_minutes.map(|minutes| json!(minutes))),
        ("ready_at", order.ready_at.map(|at| json!(at))),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
}

/// What the business's room hears when somebody posts a notification.
pub fn notification_event(notification: &Notification, id: EventId) -> NewEvent {
    NewEvent {
        id,
        room: RoomId::Business(notification.business_id),
        kind: EventType::Notification,
        at: notification.created_at,
        data: json!(notification),
    }
}
