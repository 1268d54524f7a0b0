//! The texts of what an order's life by itself tells its business and the operators.

use serde_json::json;

use super::business::{Business, Pause};
use super::ids::NotificationId;
use super::json::JsonObject;
use super::notification::{Notification, Priority};
use super::ops::Alarm;
use super::order::{Order, Status, order_number};
use super::saga::OpsAlarm;
use super::time::Timestamp;

fn data(order: &Order) -> JsonObject {
    let number = order_number(order.order_number);
    JsonObject::try_from(json!({ "order_id": order.id, "order_number": number, "status": order.status }))
        .expect("three texts are an object")
}

/// An alarm about an order.
pub fn order_alarm(kind: OpsAlarm, order: &Order) -> Alarm {
    let number = order_number(order.order_number);
    let (title, message) = match order.status {
        Status::Placed => (
            format!("Order #{number} is not answered"),
            "Nobody at the business has accepted or rejected it. Call the business, or cancel the order.",
        ),
        Status::Accepted | Status::Preparing => (
            format!("Order #{number} is late"),
            "It should have been ready long ago. Ask the business what has become of it.",
        ),
        Status::Ready => (
            format!("Order #{number} was not handed over"),
            "It has been ready for a long time and nobody took it.",
        ),
        Status::Cancelled => {
            (format!("Order #{number} was cancelled"), "Nobody at the business answered it in time.")
        }
        _ => (
            format!("Order #{number} is under way for too long"),
            "It was picked up long ago and is not delivered. Ask who brings it.",
        ),
    };
    Alarm { kind, business: Some(order.business_id), title, message: message.to_owned(), data: data(order) }
}

/// The alarm about a business that a machine has paused.
pub fn pause_alarm(business: &Business, pause: &Pause) -> Alarm {
    let cause = pause.cause.as_str();
    let data = JsonObject::try_from(json!({ "cause": cause, "until": pause.until }))
        .expect("two texts are an object");
    Alarm {
        kind: OpsAlarm::BusinessPaused,
        business: Some(business.id),
        title: format!("{} is paused", business.name),
        message: "Its orders were not answered. It takes orders again when a member or an operator ends the pause, or in the morning."
            .to_owned(),
        data,
    }
}

/// The reminder of an order that is not ready in time, for the devices of its business.
pub fn late_order(order: &Order, id: NotificationId, now: Timestamp) -> Notification {
    let number = order_number(order.order_number);
    Notification {
        id,
        business_id: order.business_id,
        kind: "ORDER_LATE".to_owned(),
        title: "Order Is Late".to_owned(),
        message: format!("Order #{number} for {} should have been ready by now", order.customer_name),
        data: data(order),
        priority: Priority::High,
        created_at: now,
    }
}
