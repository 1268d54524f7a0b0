//! A driver's own profile.

use actix_web::{HttpResponse, get, patch, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::dispatch::{DriverChange, DriverRefusal, Sharing, Vehicle};
use crate::domain::ids::UserId;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Drivers;
use crate::http::extractors::signed_in::Approved;
use crate::http::input::{Body, List, Parsed, schema_of};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::http::routes::zones::{MOST_ZONES, Zone, names_of};
use crate::protocol::driver_views::DriverView;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::ChangeDriver;

/// What is to be different about a driver; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"vehicle": "scooter", "capacity": 1, "takes_cash": true}))]
pub(super) struct DriverChanges {
    /// `foot`, `bicycle`, `scooter` or `car`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Vehicle>)]
    vehicle: Option<Parsed<Vehicle>>,
    /// Most deliveries at once: no fewer than you carry, and no more than `drivers.max_capacity`.
    #[garde(range(min = 1, max = 100))]
    #[schema(minimum = 1, maximum = 100, example = 1)]
    capacity: Option<i64>,
    /// The zones you want to work in, all of them. Zones that are new to you wait for an operator.
    #[garde(dive)]
    #[schema(value_type = Option<Vec<String>>, max_items = 16, example = json!(["center"]))]
    zones: Option<List<Zone, 0, MOST_ZONES>>,
    /// Whether you take cash at the door. Without it you are not offered what is paid in cash.
    #[garde(skip)]
    takes_cash: Option<bool>,
}

/// Read your own profile as a driver.
#[utoipa::path(operation_id = "readDriver", tag = "drivers", responses(
    (status = 200, description = "As it is now", body = DriverView),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
))]
#[get("/drivers/me")]
pub(super) async fn read(app: web::Data<AppState>, who: Approved<Drivers>) -> Result<HttpResponse, ApiError> {
    answer(&app, who.principal.user).await
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>();
}

/// Change your own profile as a driver.
#[utoipa::path(operation_id = "changeDriver", tag = "drivers", request_body = DriverChanges, responses(
    (status = 200, description = "As it is now", body = DriverView),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
))]
#[patch("/drivers/me")]
pub(super) async fn change(
    app: web::Data<AppState>,
    who: Approved<Drivers, Body<DriverChanges>>,
) -> Result<HttpResponse, ApiError> {
    let DriverChanges { vehicle, capacity, zones, takes_cash } = who.rest.0;
    let driver = who.principal.user;
    let change = DriverChange {
        vehicle: vehicle.map(Parsed::into_inner),
        capacity: capacity.map(|n| u8::try_from(n).expect("the range of the field lies within 8 bits")),
        zones: zones.map(names_of),
        takes_cash,
    };
    if change == DriverChange::default() {
        return Err(ApiError::invalid_field("body", "names nothing to change"));
    }
    let sharing = if app.settings.drivers.auto_approve { Sharing::AtOnce } else { Sharing::Approved };
    let write = ChangeDriver { driver, change, sharing };
    app.persistence.write(Box::new(write)).await?.map_err(refused)?;
    answer(&app, driver).await
}

impl Endpoint for change {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>();
}

/// The profile of a driver as it is now.
pub(super) async fn answer(app: &AppState, driver: UserId) -> Result<HttpResponse, ApiError> {
    let driver = app.store.driver(driver).await?.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(DriverView::of(&driver)))
}

pub(super) fn refused(refusal: DriverRefusal) -> ApiError {
    match refusal {
        DriverRefusal::NoSuchDriver => ApiError::not_found(),
        DriverRefusal::Capacity { active, most } => {
            ApiError::invalid_field("capacity", format!("expected {} to {most}", active.max(1)))
        }
        DriverRefusal::NoZone => ApiError::new(
            ProblemCode::NoZone,
            "Say in which zones you want to work; an operator may have to approve them.",
        ),
    }
}
