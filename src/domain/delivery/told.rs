//! What rooms and operators are told of deliveries and offers.

use serde_json::json;

use crate::domain::business::Business;
use crate::domain::dispatch::Driver;
use crate::domain::event::{Announcement, EventPayload, Notification, PendingEvent, Priority};
use crate::domain::ids::{EventId, NotificationId, UserId};
use crate::domain::json::JsonObject;
use crate::domain::ops::Alarm;
use crate::domain::order::{Order, PaymentMethod, PaymentStatus, order_number};
use crate::domain::room::RoomId;
use crate::domain::saga::OpsAlarm;
use crate::domain::time::Timestamp;
use crate::domain::zone::ZoneName;

use super::event::{DeliveryEvent, EventDriver, OfferClosed, OfferOpened, PickupPlace, RoughPlace};
use super::model::{Delivery, Offer};
use super::status::{OfferEnd, Step};

/// How a delivery stands, for the rooms of its order, its business, its zone and its driver.
pub fn updated(
    delivery: &Delivery,
    order: &Order,
    driver: Option<&Driver>,
    mut new_id: impl FnMut() -> EventId,
    now: Timestamp,
) -> Announcement {
    let data = |payout_minor| event(delivery, order, driver, payout_minor);
    let mut rooms = vec![RoomId::Order(order.id), RoomId::Business(order.business_id)];
    rooms.extend(ZoneName::learn(&delivery.zone).map(RoomId::Zone));
    let mut events: Vec<PendingEvent> =
        rooms.into_iter().map(|room| pending(new_id(), room, data(None), now)).collect();
    if let Some(driver) = delivery.driver {
        let payout = Some(delivery.payout_minor);
        events.push(of_driver(new_id(), driver, data(payout), now));
    }
    Announcement { notification: None, events }
}

/// A delivery that a driver has no more, for that driver's room.
pub fn left(delivery: &Delivery, order: &Order, driver: UserId, id: EventId, now: Timestamp) -> Announcement {
    let data = event(delivery, order, None, Some(delivery.payout_minor));
    Announcement { notification: None, events: vec![of_driver(id, driver, data, now)] }
}

fn event(
    delivery: &Delivery,
    order: &Order,
    driver: Option<&Driver>,
    payout_minor: Option<i64>,
) -> DeliveryEvent {
    DeliveryEvent {
        delivery_id: delivery.id,
        order_id: order.id,
        order_number: order_number(order.order_number),
        status: delivery.status,
        delivery_version: order.delivery_version,
        driver: driver.map(|driver| EventDriver {
            id: driver.user,
            name: driver.name.clone(),
            vehicle: driver.vehicle,
        }),
        reason: delivery.reason,
        payout_minor,
        answer_by: None,
    }
}

/// The question whether a driver still comes, for that driver's room.
pub fn asked(
    delivery: &Delivery,
    order: &Order,
    driver: &Driver,
    answer_by: Timestamp,
    id: EventId,
    now: Timestamp,
) -> Announcement {
    let data = event(delivery, order, Some(driver), Some(delivery.payout_minor));
    let data = DeliveryEvent { answer_by: Some(answer_by), ..data };
    Announcement { notification: None, events: vec![of_driver(id, driver.user, data, now)] }
}

// It is about an order, but no device answers for it by having heard of its delivery.
fn pending(id: EventId, room: RoomId, data: DeliveryEvent, at: Timestamp) -> PendingEvent {
    PendingEvent { id, room, at, payload: EventPayload::DeliveryUpdated(Box::new(data)), order: None }
}

// The driver says by `acted` that they have seen it.
fn of_driver(id: EventId, driver: UserId, data: DeliveryEvent, at: Timestamp) -> PendingEvent {
    PendingEvent { order: Some(data.order_id), ..pending(id, RoomId::Driver(driver), data, at) }
}

/// An offer, for the room of its driver.
pub fn opened(
    offer: &Offer,
    order: &Order,
    business: &Business,
    id: EventId,
    now: Timestamp,
) -> Announcement {
    let payload = EventPayload::OfferOpened(Box::new(offered(offer, order, business, now)));
    let event = PendingEvent { id, room: RoomId::Driver(offer.driver), at: now, payload, order: None };
    Announcement { notification: None, events: vec![event] }
}

/// An open offer as its driver sees it at `now`.
pub fn offered(offer: &Offer, order: &Order, business: &Business, now: Timestamp) -> OfferOpened {
    let remaining = offer.deadline_at.since(now).as_millis();
    OfferOpened {
        offer_id: offer.id,
        delivery_id: offer.delivery,
        pickup: PickupPlace {
            name: business.name.clone(),
            lat: business.location.lat,
            lng: business.location.lng,
        },
        dropoff: RoughPlace::of(order.address.as_ref().map_or(business.location, |address| address.location)),
        distance_m: offer.distance_m,
        payout_minor: offer.payout_minor,
        currency: order.currency,
        payment: order.payment_method,
        collect_minor: to_collect(order),
        item_count: order.items.iter().map(|item| item.qty).sum(),
        stacked: offer.stacked,
        deadline_at: offer.deadline_at,
        remaining_ms: u64::try_from(remaining).unwrap_or(u64::MAX),
        now,
    }
}

/// Cash that the driver of an order takes at the door, in minor units.
pub fn to_collect(order: &Order) -> i64 {
    let is_owed =
        order.payment_method == PaymentMethod::Cash && order.payment_status == PaymentStatus::Pending;
    if is_owed { order.total_minor } else { 0 }
}

/// An offer that is over, for the room of its driver.
pub fn closed(offer: &Offer, reason: OfferEnd, id: EventId, now: Timestamp) -> Announcement {
    let payload = EventPayload::OfferClosed(Box::new(OfferClosed { offer_id: offer.id, reason }));
    let event = PendingEvent { id, room: RoomId::Driver(offer.driver), at: now, payload, order: None };
    Announcement { notification: None, events: vec![event] }
}

/// The news that nobody brings an order yet, for the devices of its business.
pub fn no_driver(order: &Order, id: NotificationId, now: Timestamp) -> Notification {
    let number = order_number(order.order_number);
    let data = json!({ "order_id": order.id, "order_number": number, "status": order.status });
    Notification {
        id,
        business_id: order.business_id,
        kind: OpsAlarm::NoDriver.as_str().to_owned(),
        title: "No Driver Yet".to_owned(),
        message: format!(
            "Nobody brings order #{number} for {} yet; the search goes on. You can bring it yourselves.",
            order.customer_name
        ),
        data: JsonObject::try_from(data).expect("three texts are an object"),
        priority: Priority::High,
        created_at: now,
    }
}

/// The alarm about a step of a driver who has the delivery no more.
pub fn late_step(step: Step, driver: UserId, delivery: &Delivery, order: &Order) -> Alarm {
    let number = order_number(order.order_number);
    let data = json!({
        "order_id": order.id,
        "order_number": number,
        "delivery_id": delivery.id,
        "status": delivery.status,
        "driver_id": delivery.driver,
        "step": step,
        "reported_by": driver,
    });
    Alarm {
        kind: OpsAlarm::DriverSilent,
        business: Some(order.business_id),
        title: format!("A former driver of order #{number} reports `{step}`"),
        message: "It changes nothing by itself. Ask both drivers who has the food, and assign or report it by hand."
            .to_owned(),
        data: JsonObject::try_from(data).expect("texts are an object"),
    }
}

/// The alarm about an order that has no driver, or whose driver is silent or late, or took another amount.
pub fn alarm(kind: OpsAlarm, delivery: &Delivery, order: &Order, difference_minor: Option<i64>) -> Alarm {
    let number = order_number(order.order_number);
    let (title, message) = match (kind, difference_minor) {
        (OpsAlarm::NoDriver, _) => (
            format!("Nobody brings order #{number}"),
            "No driver has taken it yet, and the search goes on. Assign one, extend the search, or let the business bring it itself.",
        ),
        (_, Some(_)) => (
            format!("Another amount was taken for order #{number}"),
            "The driver took another amount in cash than the order costs. Ask the driver and the customer.",
        ),
        _ => (
            format!("The driver of order #{number} is silent"),
            "No position has come for some time, or the order is late. Call the driver, or assign another one.",
        ),
    };
    let data = json!({
        "order_id": order.id,
        "order_number": number,
        "delivery_id": delivery.id,
        "status": delivery.status,
        "driver_id": delivery.driver,
        "difference_minor": difference_minor,
    });
    let data = JsonObject::try_from(data).expect("texts and a number are an object");
    Alarm { kind, business: Some(order.business_id), title, message: message.to_owned(), data }
}
