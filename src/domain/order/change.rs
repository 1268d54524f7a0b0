//! The consequences of placing or moving an order: decided here, stored in the same commit.

use serde_json::json;

use crate::domain::event::{Announcement, EventPayload, PendingEvent};
use crate::domain::ids::{EventId, NotificationId};
use crate::domain::json::JsonObject;
use crate::domain::notification::{Notification, Priority};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::events::{KitchenDetails, OrderEvent, OrderSummary, order_number};
use super::model::Order;
use super::status::{Party, Status};
use super::table::FollowUp;

/// An order that was just placed or moved.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderChange {
    /// The order as it is after the change.
    pub order: Order,
    /// Where it was before; `None` when it was placed.
    pub from: Option<Status>,
    /// The capacity in which somebody changed it.
    pub party: Party,
    /// What the table of transitions says follows.
    pub follows: &'static [FollowUp],
    /// When it happened.
    pub at: Timestamp,
}

/// New ids for what a change tells.
#[derive(Clone, Copy, Debug)]
pub struct AnnouncementIds {
    /// Of the notification, if one follows.
    pub notification: NotificationId,
    /// Of the event in the business's room.
    pub in_business: EventId,
    /// Of the event in the order's own room.
    pub in_order: EventId,
}

/// The event of an order for each of its rooms.
type Payload = fn(Box<OrderEvent>) -> EventPayload;

impl OrderChange {
    /// The notification and the events of this change: first the business's, then the order's own. Nothing while the order waits for
    /// its payment.
    pub fn announce(&self, ids: AnnouncementIds) -> Announcement {
        let Self { order, at, .. } = self;
        let Some(payload) = self.payload() else { return Announcement::default() };
        let notification = self.starts_alert().then(|| new_order(order, ids.notification, *at));
        let for_business = OrderEvent {
            summary: OrderSummary::of(order),
            kitchen: Some(KitchenDetails::of(order)),
            notification: notification.clone(),
        };
        let for_order = OrderEvent { summary: OrderSummary::of(order), kitchen: None, notification: None };
        let event = |id, room, data| PendingEvent {
            id,
            room,
            at: *at,
            payload: payload(Box::new(data)),
            order: Some(order.id),
        };
        let events = vec![
            event(ids.in_business, RoomId::Business(order.business_id), for_business),
            event(ids.in_order, RoomId::Order(order.id), for_order),
        ];
        Announcement { notification, events }
    }

    fn starts_alert(&self) -> bool {
        self.follows.iter().any(|follow| match follow {
            FollowUp::StartAlert => true,
            // Any event that does not ring stops the alert of its order.
            FollowUp::StopAlert | FollowUp::Refund | FollowUp::TakeCash => false,
        })
    }

    fn payload(&self) -> Option<Payload> {
        if self.starts_alert() {
            return Some(EventPayload::OrderCreated);
        }
        match self.order.status {
            Status::PendingPayment => None,
            Status::Cancelled => Some(EventPayload::OrderCancelled),
            Status::Placed
            | Status::Accepted
            | Status::Preparing
            | Status::Ready
            | Status::PickedUp
            | Status::Delivered
            | Status::Rejected
            | Status::Failed => Some(EventPayload::OrderUpdated),
        }
    }
}

/// The notification of an order that a business has to answer.
fn new_order(order: &Order, id: NotificationId, now: Timestamp) -> Notification {
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
