//! The consequences of placing or moving an order: decided here, stored in the same commit.

use serde_json::json;

use crate::domain::event::{Announcement, EventPayload, PendingEvent};
use crate::domain::ids::{EventId, NotificationId};
use crate::domain::json::JsonObject;
use crate::domain::notification::{Notification, Priority};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::edit::OrderField;
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

/// One transition, as the timeline keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderStep {
    /// The status before it; `None` when the order was placed.
    pub from: Option<Status>,
    /// The status after it.
    pub to: Status,
    /// The version of the order that it made.
    pub version: i64,
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
        let Some(payload) = self.payload() else { return Announcement::default() };
        let notification = self.starts_alert().then(|| new_order(&self.order, ids.notification, self.at));
        announcement(&self.order, payload, notification, &[], self.at, ids)
    }

    /// The transitions of this change, each with the version it made: those passed through first, then the last.
    pub fn steps(&self) -> impl Iterator<Item = OrderStep> {
        let passed = self.follows.iter().find_map(|follow| match follow {
            FollowUp::Passes(statuses) => Some(*statuses),
            _ => None,
        });
        let passed = passed.unwrap_or_default();
        let (first, mut from) = (self.order.version - passed.len() as i64, self.from);
        let statuses = passed.iter().copied().chain([self.order.status]);
        statuses.zip(first..).map(move |(to, version)| OrderStep { from: from.replace(to), to, version })
    }

    fn starts_alert(&self) -> bool {
        self.follows.iter().any(|follow| match follow {
            FollowUp::StartAlert => true,
            // Any event that does not ring stops the alert of its order; what rings on is not a stored event.
            FollowUp::StopAlert | FollowUp::RingOn | FollowUp::RingEnd => false,
            FollowUp::Refund | FollowUp::RefundFault | FollowUp::TakeCash | FollowUp::LeaveCash => false,
            FollowUp::Passes(_) => false,
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

/// An order of which something was changed without a transition.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderEdit {
    /// The order as it is after the change.
    pub order: Order,
    /// What is different now; at least one field.
    pub changed: Vec<OrderField>,
    /// The capacity in which somebody changed it.
    pub party: Party,
    /// When it happened.
    pub at: Timestamp,
}

impl OrderEdit {
    /// The events of this change: first the business's, then the order's own. Nothing while the order waits for its payment.
    pub fn announce(&self, ids: AnnouncementIds) -> Announcement {
        if self.order.status == Status::PendingPayment {
            return Announcement::default();
        }
        announcement(&self.order, EventPayload::OrderUpdated, None, &self.changed, self.at, ids)
    }

    /// Whether the devices of the business ring for it: somebody else changed what the business has accepted.
    pub fn rings(&self) -> bool {
        use Status::{Accepted, PickedUp, Preparing, Ready};
        self.party != Party::Member && matches!(self.order.status, Accepted | Preparing | Ready | PickedUp)
    }
}

fn announcement(
    order: &Order,
    payload: Payload,
    notification: Option<Notification>,
    changed: &[OrderField],
    at: Timestamp,
    ids: AnnouncementIds,
) -> Announcement {
    let data = |kitchen, notification| OrderEvent {
        summary: OrderSummary::of(order),
        kitchen,
        changed: changed.to_vec(),
        notification,
    };
    let event = |id, room, data| PendingEvent {
        id,
        room,
        at,
        payload: payload(Box::new(data)),
        order: Some(order.id),
    };
    let for_business = data(Some(KitchenDetails::of(order)), notification.clone());
    let events = vec![
        event(ids.in_business, RoomId::Business(order.business_id), for_business),
        event(ids.in_order, RoomId::Order(order.id), data(None, None)),
    ];
    Announcement { notification, events }
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
