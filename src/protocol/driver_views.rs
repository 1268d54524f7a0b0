//! Drivers as answers show them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::dispatch::{Driver, Position};
use crate::domain::time::Timestamp;

/// A driver as those see them to whom they bring something.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CourierView {
    /// The account, `usr_…`.
    pub id: String,
    /// What they are called.
    #[schema(example = "Dan")]
    pub name: String,
    /// `foot`, `bicycle`, `scooter` or `car`.
    #[schema(example = "bicycle")]
    pub vehicle: &'static str,
    /// Where they were last: for members and operators while they have the order, for the customer while it is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionView>,
}

/// A position and its time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PositionView {
    /// Degrees, north is positive.
    pub lat: f64,
    /// Degrees, east is positive.
    pub lng: f64,
    /// When they were there; RFC 3339.
    pub at: String,
}

impl PositionView {
    /// A position of a driver.
    pub fn of(position: &Position) -> Self {
        let Position { location, at } = position;
        Self { lat: location.lat, lng: location.lng, at: at.to_rfc3339() }
    }
}

impl CourierView {
    /// The driver, with or without where they are.
    pub fn new(driver: &Driver, shows_position: bool) -> Self {
        Self {
            id: driver.user.to_string(),
            name: driver.name.clone(),
            vehicle: driver.vehicle.as_str(),
            position: driver.position.as_ref().filter(|_| shows_position).map(PositionView::of),
        }
    }
}

/// A driver as they see themselves, and as operators do.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DriverView {
    /// The account, `usr_…`.
    pub id: String,
    /// What customers and businesses call them.
    #[schema(example = "Dan")]
    pub name: String,
    /// Whether an operator has let the account work.
    pub approved: bool,
    /// `foot`, `bicycle`, `scooter` or `car`.
    #[schema(example = "bicycle")]
    pub vehicle: &'static str,
    /// Most deliveries at once.
    #[schema(example = 2)]
    pub capacity: u8,
    /// The zones they work in.
    #[schema(example = json!(["center"]))]
    pub zones: Vec<String>,
    /// The zones they asked for, until an operator answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_zones: Option<Vec<String>>,
    /// Whether they take cash at the door.
    pub takes_cash: bool,
    /// Whether they want offers.
    pub online: bool,
    /// Deliveries they carry.
    #[schema(example = 1)]
    pub carries: u8,
    /// Offers in a row that they did not answer; the third one sets them offline.
    #[schema(example = 0)]
    pub ignored: u8,
    /// Since when they wait for a delivery; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<String>,
    /// Their last sign of life; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive_at: Option<String>,
    /// Their last position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionView>,
    /// Deliveries they have ended.
    #[schema(example = 120)]
    pub delivered: i64,
    /// Those of them that were in time.
    #[schema(example = 117)]
    pub on_time: i64,
}

impl DriverView {
    /// The driver who has it.
    pub fn of(driver: &Driver) -> Self {
        Self {
            id: driver.user.to_string(),
            name: driver.name.clone(),
            approved: driver.approved,
            vehicle: driver.vehicle.as_str(),
            capacity: driver.capacity,
            zones: driver.zones.clone(),
            wanted_zones: driver.wanted_zones.clone(),
            takes_cash: driver.takes_cash,
            online: driver.online,
            carries: driver.active,
            ignored: driver.ignored,
            waiting_since: driver.waiting_since.map(Timestamp::to_rfc3339),
            alive_at: driver.alive_at.map(Timestamp::to_rfc3339),
            position: driver.position.as_ref().map(PositionView::of),
            delivered: driver.delivered,
            on_time: driver.on_time,
        }
    }
}
