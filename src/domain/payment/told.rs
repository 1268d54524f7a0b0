//! What rooms and operators are told of money.

use serde_json::json;

use crate::domain::event::{Announcement, EventPayload, PendingEvent};
use crate::domain::ids::{BusinessId, DeadLetterId, EventId, OrderId, PaymentId};
use crate::domain::json::JsonObject;
use crate::domain::ops::Alarm;
use crate::domain::order::{Order, order_number};
use crate::domain::room::RoomId;
use crate::domain::saga::OpsAlarm;
use crate::domain::time::Timestamp;

use super::event::PaymentEvent;
use super::model::{MoneyWay, Payment, Refund, RefundState};
use super::news::NewsRefusal;

/// The ids of the two events of one change.
#[derive(Clone, Copy, Debug)]
pub struct PaymentEventIds {
    /// Of the event in the business's room.
    pub in_business: EventId,
    /// Of the event in the order's own room.
    pub in_order: EventId,
}

/// Money was received.
pub fn received(payment: &Payment, order: &Order, ids: PaymentEventIds, now: Timestamp) -> Announcement {
    let data = PaymentEvent {
        order_id: order.id,
        payment_id: payment.id,
        amount_minor: payment.captured_minor,
        currency: payment.currency,
        method: payment.way,
        payment_version: order.payment_version,
    };
    announce(EventPayload::PaymentReceived(Box::new(data)), order, ids, now)
}

/// Money has gone back.
pub fn refunded(
    refund: &Refund,
    payment: &Payment,
    order: &Order,
    ids: PaymentEventIds,
    now: Timestamp,
) -> Announcement {
    let data = PaymentEvent {
        order_id: order.id,
        payment_id: payment.id,
        amount_minor: refund.amount_minor,
        currency: payment.currency,
        method: refund.way,
        payment_version: order.payment_version,
    };
    announce(EventPayload::PaymentRefunded(Box::new(data)), order, ids, now)
}

// They are about an order, but no device answers for it by having heard of its money.
fn announce(payload: EventPayload, order: &Order, ids: PaymentEventIds, now: Timestamp) -> Announcement {
    let in_business = PendingEvent {
        id: ids.in_business,
        room: RoomId::Business(order.business_id),
        at: now,
        payload,
        order: None,
    };
    let in_order = PendingEvent { id: ids.in_order, room: RoomId::Order(order.id), ..in_business.clone() };
    Announcement { notification: None, events: vec![in_business, in_order] }
}

fn refund_data(refund: &Refund, order: &Order) -> JsonObject {
    JsonObject::try_from(json!({
        "order_id": order.id,
        "order_number": order_number(order.order_number),
        "payment_id": refund.payment,
        "refund_id": refund.id,
        "amount_minor": refund.amount_minor,
        "currency": order.currency,
        "state": refund.state,
    }))
    .expect("texts and a number are an object")
}

/// The alarm about a refund that has failed, or has not succeeded in its time.
pub fn refund_alarm(refund: &Refund, order: &Order) -> Alarm {
    let number = order_number(order.order_number);
    let (title, message) = match (refund.state, refund.way) {
        (RefundState::Failed, _) => (
            format!("A refund of order #{number} has failed"),
            "The payment provider did not give the money back. Let it be tried again, or give it back another way and settle it.",
        ),
        (_, MoneyWay::Online) => (
            format!("A refund of order #{number} is not done"),
            "The payment provider has not said that the money has gone back. The hub goes on asking; look there what keeps it.",
        ),
        (_, MoneyWay::Terminal | MoneyWay::Transfer | MoneyWay::Cash) => (
            format!("Order #{number} owes its customer money"),
            "It was not paid through the provider, so somebody has to give the money back and say so.",
        ),
    };
    Alarm {
        kind: OpsAlarm::RefundFailed,
        business: Some(order.business_id),
        title,
        message: message.to_owned(),
        data: refund_data(refund, order),
    }
}

/// The alarm about money that has gone back without anybody here having asked for it.
pub fn outside_alarm(refund: &Refund, order: &Order) -> Alarm {
    let number = order_number(order.order_number);
    Alarm {
        kind: OpsAlarm::PaymentMismatch,
        business: Some(order.business_id),
        title: format!("Money of order #{number} went back without a request"),
        message: "The payment provider tells of a refund that the hub did not send: its own console, or a chargeback. Later refunds send the rest."
            .to_owned(),
        data: refund_data(refund, order),
    }
}

/// What became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadNews {
    /// The dead letter.
    pub letter: DeadLetterId,
    /// The reason for it.
    pub reason: NewsRefusal,
    /// The business of the payment's order, as far as it is known.
    pub business: Option<BusinessId>,
    /// The order of the payment, else the one that was named.
    pub order: Option<OrderId>,
    /// The payment that was named.
    pub payment: Option<PaymentId>,
}

/// The alarm about something of the provider that changed nothing and needs a person.
pub fn dead_news_alarm(dead: DeadNews) -> Alarm {
    let (title, message) = match dead.reason {
        NewsRefusal::UnknownPayment => {
            ("A payment is not known", "The payment provider tells of a payment that the hub did not begin.")
        }
        NewsRefusal::WrongOrder => (
            "A payment is one of another order",
            "The payment provider names another order than the payment's own. Somebody may be trying to pass one payment off as another.",
        ),
        NewsRefusal::AmountMismatch => (
            "An amount does not fit",
            "What the payment provider tells of is not what the hub knows: less than was due, another currency, or a refund that cannot be.",
        ),
        NewsRefusal::Unreadable => (
            "A message of the payment provider cannot be read",
            "Its signature is right and its body is not what was agreed on.",
        ),
        NewsRefusal::Failing => (
            "A message of the payment provider does not work",
            "It was worked on as often as it may be. The log says what failed.",
        ),
    };
    let data = JsonObject::try_from(json!({
        "dead_letter_id": dead.letter,
        "reason": dead.reason,
        "order_id": dead.order,
        "payment_id": dead.payment,
    }))
    .expect("texts are an object");
    Alarm {
        kind: OpsAlarm::PaymentMismatch,
        business: dead.business,
        title: title.to_owned(),
        message: format!("{message} Look at the dead letter; it can be replayed."),
        data,
    }
}
