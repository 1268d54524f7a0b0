//! Drivers as operators list them, and the zones they may work in.

use actix_web::{HttpResponse, get, put, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::ids::UserId;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, FromText, List, Parsed, Query, one_of, rules, schema_of};
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::http::routes::zones::{MAX_ZONE, MOST_ZONES, Zone, names_of};
use crate::protocol::driver_views::DriverView;
use crate::storage::DriverFilter;
use crate::storage::commands::ApproveZones;

/// A yes or no in a query.
#[derive(Clone, Copy, Debug)]
struct Flag(bool);

impl FromText for Flag {
    const EXAMPLE: &'static str = "true";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&[true, false], |flag| if flag { "true" } else { "false" }, text).map(Self)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(vec!["true", "false"])
    }
}

/// The drivers that the list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DriversFilter {
    /// Only those of a zone.
    #[garde(inner(custom(rules::line::<MAX_ZONE>)))]
    #[param(min_length = 1, max_length = 64, example = "center")]
    zone: Option<String>,
    /// Only those who are on, or who are off.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Flag>)]
    online: Option<Parsed<Flag>>,
    /// `true`: only those who wait for an operator, with their account or their zones.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Flag>)]
    waiting: Option<Parsed<Flag>>,
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<UserId>)]
    cursor: Option<Parsed<UserId>>,
}

/// A page of drivers.
#[derive(Serialize, ToSchema)]
pub(super) struct DriversView {
    /// In the order of their accounts.
    items: Vec<DriverView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_cursor: Option<String>,
}

/// List drivers.
#[utoipa::path(operation_id = "listDrivers", tag = "operations", params(DriversFilter), responses(
    (status = 200, description = "A page", body = DriversView),
))]
#[get("/admin/drivers")]
pub(super) async fn list(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    query: Query<DriversFilter>,
) -> Result<HttpResponse, ApiError> {
    let DriversFilter { zone, online, waiting, limit, cursor } = query.0;
    let limit = limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let filter = DriverFilter {
        zone,
        online: online.map(|flag| flag.into_inner().0),
        waiting: waiting.is_some_and(|flag| flag.into_inner().0),
    };
    let after = cursor.map(Parsed::into_inner);
    let mut found = app.store.drivers(&filter, after, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| last.user.to_string());
    let items = found.iter().map(DriverView::of).collect();
    Ok(HttpResponse::Ok().json(DriversView { items, limit, has_more, next_cursor }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// The zones of a driver.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"zones": ["center"]}))]
pub(super) struct ApprovedZones {
    /// All the zones they work in; none sets them offline.
    #[garde(dive)]
    #[schema(value_type = Vec<String>, max_items = 16, example = json!(["center"]))]
    zones: List<Zone, 0, MOST_ZONES>,
}

/// Say in which zones a driver works. It answers what they asked for, whatever that was.
#[utoipa::path(operation_id = "approveZones", tag = "operations", request_body = ApprovedZones,
    params(("id" = String, Path, description = "`usr_…`")),
    responses((status = 200, description = "The driver as they are now", body = DriverView)))]
#[put("/admin/drivers/{id}")]
pub(super) async fn put(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
    body: Body<ApprovedZones>,
) -> Result<HttpResponse, ApiError> {
    let (driver, user) = (id.0, who.principal.user);
    let zones = names_of(body.0.zones);
    tracing::info!(%driver, ?zones, by = %user, "zones of a driver were approved");
    let write = ApproveZones { driver, zones, user };
    app.persistence.write(Box::new(write)).await?.map_err(|_| ApiError::not_found())?;
    let driver = app.store.driver(driver).await?.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(DriverView::of(&driver)))
}

impl Endpoint for put {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}
