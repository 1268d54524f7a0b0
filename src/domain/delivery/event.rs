//! The data of the events of deliveries and offers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::dispatch::Vehicle;
use crate::domain::ids::{DeliveryId, OfferId, OrderId, UserId};
use crate::domain::location::Location;
use crate::domain::money::Currency;
use crate::domain::order::PaymentMethod;
use crate::domain::time::Timestamp;

use super::status::{DeliveryStatus, LeaveReason, OfferEnd};

/// The driver of a delivery, as everybody in its rooms may know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventDriver {
    /// The account, `usr_…`.
    #[schema(value_type = String)]
    pub id: UserId,
    /// What they are called.
    pub name: String,
    /// What they ride: `foot`, `bicycle`, `scooter` or `car`.
    #[schema(value_type = String)]
    pub vehicle: Vehicle,
}

/// The data of `delivery_updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryEvent {
    /// The delivery, `dlv_…`.
    #[schema(value_type = String)]
    pub delivery_id: DeliveryId,
    /// Its order, `ord_…`.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// The number people call the order by.
    pub order_number: String,
    /// Where the delivery stands.
    #[schema(value_type = String)]
    pub status: DeliveryStatus,
    /// Counts changes of the delivery, from 1: a client keeps what it has of a later one.
    pub delivery_version: i64,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<EventDriver>,
    /// Why it left a driver or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<LeaveReason>,
    /// What the driver gets, in minor units; in the rooms of drivers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout_minor: Option<i64>,
    /// The driver is asked whether they still come: without a position that is nearer by then, it is offered to somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub answer_by: Option<Timestamp>,
}

/// A place that is not exactly told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct RoughPlace {
    /// Degrees north, to two decimals.
    pub lat: f64,
    /// Degrees east, to two decimals.
    pub lng: f64,
}

impl RoughPlace {
    /// About a kilometre around a place.
    pub fn of(place: Location) -> Self {
        let round = |degrees: f64| (degrees * 100.0).round() / 100.0;
        Self { lat: round(place.lat), lng: round(place.lng) }
    }
}

/// The place at which a driver fetches an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PickupPlace {
    /// The name of the business.
    pub name: String,
    /// In degrees north of the equator.
    pub lat: f64,
    /// In degrees east of Greenwich.
    pub lng: f64,
}

/// The data of `offer_opened`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OfferOpened {
    /// The offer, `off_…`.
    #[schema(value_type = String)]
    pub offer_id: OfferId,
    /// The delivery that is offered, `dlv_…`.
    #[schema(value_type = String)]
    pub delivery_id: DeliveryId,
    /// Where it is fetched.
    pub pickup: PickupPlace,
    /// About where it goes.
    pub dropoff: RoughPlace,
    /// From the driver to the business as the crow flies, metres.
    pub distance_m: i64,
    /// What the driver gets, in minor units.
    pub payout_minor: i64,
    /// The currency by ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// How the order is paid: `online` or `cash`.
    #[schema(value_type = String)]
    pub payment: PaymentMethod,
    /// Cash that the driver takes at the door, in minor units.
    pub collect_minor: i64,
    /// The number of pieces.
    pub item_count: u32,
    /// Whether it goes well with what the driver carries.
    pub stacked: bool,
    /// From then on it cannot be accepted.
    #[schema(value_type = String)]
    pub deadline_at: Timestamp,
    /// Milliseconds from `now` to `deadline_at`.
    pub remaining_ms: u64,
    /// The hub's time when it was opened.
    #[schema(value_type = String)]
    pub now: Timestamp,
}

/// The data of `offer_closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OfferClosed {
    /// The offer, `off_…`.
    #[schema(value_type = String)]
    pub offer_id: OfferId,
    /// The reason: `taken`, `expired`, `withdrawn` or `declined`.
    #[schema(value_type = String)]
    pub reason: OfferEnd,
}

/// The data of `driver_location`, which is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DriverLocation {
    /// The driver, `usr_…`.
    #[schema(value_type = String)]
    pub driver_id: UserId,
    /// The delivery, `dlv_…`; absent in the room of a zone.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
    /// In degrees north of the equator.
    pub lat: f64,
    /// In degrees east of Greenwich.
    pub lng: f64,
    /// When the driver was there, by the hub's time.
    #[schema(value_type = String)]
    pub at: Timestamp,
}
