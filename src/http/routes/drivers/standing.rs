//! Whether a driver wants offers, and where they are.

use actix_web::{HttpResponse, put, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::actors::driver_positions::TooManyDrivers;
use crate::domain::location::Location;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Drivers;
use crate::http::extractors::signed_in::Approved;
use crate::http::input::{Body, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::driver_views::DriverView;
use crate::protocol::problem::ProblemCode;

use super::me::{answer, refused};

/// Whether a driver wants offers.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"online": true}))]
pub(super) struct DriverStatus {
    /// Whether you want offers.
    #[garde(skip)]
    online: bool,
}

/// Say whether you want offers, as `status` does on a socket.
///
/// Who goes off keeps what they carry; their open offers are withdrawn. Nobody stays on without a sign of life every 90 s: an open
/// socket, a long poll, a position, or this.
#[utoipa::path(operation_id = "setDriverStatus", tag = "drivers", request_body = DriverStatus, responses(
    (status = 200, description = "The driver as they are now", body = DriverView),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
    (status = 409, description = "`no_zone`: there is no zone to be on for"),
))]
#[put("/drivers/me/status")]
pub(super) async fn set_status(
    app: web::Data<AppState>,
    who: Approved<Drivers, Body<DriverStatus>>,
) -> Result<HttpResponse, ApiError> {
    let driver = who.principal.user;
    app.drivers.set_online(driver, who.rest.0.online).await?.map_err(refused)?;
    answer(&app, driver).await
}

impl Endpoint for set_status {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>().rate(Rate::Move).body_limit(2 * KIB);
}

/// A position.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lat": 38.71, "lng": -9.14}))]
pub(super) struct DriverPosition {
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.71)]
    lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.14)]
    lng: f64,
    /// When you were there; now unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    at: Option<Parsed<Timestamp>>,
}

/// Say where you are, as `location` does on a socket.
///
/// Of several in a second the last one counts; one that is older than another, or than a minute, is left. Whoever waits for what you
/// carry sees it; positions are no events and are not kept.
#[utoipa::path(operation_id = "setDriverLocation", tag = "drivers", request_body = DriverPosition, responses(
    (status = 204, description = "It is heard"),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
))]
#[put("/drivers/me/location")]
pub(super) async fn set_location(
    app: web::Data<AppState>,
    who: Approved<Drivers, Body<DriverPosition>>,
) -> Result<HttpResponse, ApiError> {
    let DriverPosition { lat, lng, at } = who.rest.0;
    let (driver, location) = (who.principal.user, Location { lat, lng });
    app.drivers.moved(driver, location, at.map(Parsed::into_inner)).map_err(|TooManyDrivers| {
        ApiError::new(ProblemCode::Unavailable, "This node has no place for one more driver.")
    })?;
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for set_location {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>().body_limit(2 * KIB);
}
