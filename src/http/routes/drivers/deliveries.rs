//! What a driver carries, has brought, and earned.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, get, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::access::Principal;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Drivers;
use crate::http::extractors::signed_in::Approved;
use crate::http::input::{Parsed, Query, schema_of};
use crate::http::response::pagination::{DeliveryCursor, PageSize};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::http::routes::deliveries::view_of;
use crate::protocol::delivery_views::DeliveryDetailsView;
use crate::storage::{Earnings, ListedDelivery};

/// The length of the day that is summed.
const DAY: Duration = Duration::from_secs(86_400);

/// The deliveries that the list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryFilter {
    /// When the day begins that is summed, as your clock has it; that of now in UTC unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Timestamp>)]
    day: Option<Parsed<Timestamp>>,
    /// At most so many of the past, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<DeliveryCursor>)]
    cursor: Option<Parsed<DeliveryCursor>>,
}

/// What a driver earned in a day, in one currency.
#[derive(Serialize, ToSchema)]
pub(super) struct EarningsView {
    /// The currency by ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Deliveries that ended with the driver.
    #[schema(example = 12)]
    deliveries: u32,
    /// What they pay, in minor units.
    #[schema(example = 4200)]
    payout_minor: i64,
    /// Cash that the driver took and has to hand over, in minor units.
    #[schema(example = 1850)]
    collected_minor: i64,
}

/// A day of a driver.
#[derive(Serialize, ToSchema)]
pub(super) struct DayView {
    /// When it began; RFC 3339.
    from: String,
    /// 24 hours later; RFC 3339.
    to: String,
    /// A sum for each currency.
    sums: Vec<EarningsView>,
}

/// The deliveries of a driver.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveriesView {
    /// Those the driver carries.
    current: Vec<DeliveryDetailsView>,
    /// Those that have ended with the driver; the one they got last comes first.
    past: Vec<DeliveryDetailsView>,
    /// What the driver earned in the day.
    day: DayView,
    /// The most entries of `past`.
    limit: u32,
    /// Whether more of the past follow.
    has_more: bool,
    /// For the next page of the past.
    next_cursor: Option<String>,
}

/// List your deliveries: what you carry, what you have brought, and what you earned in a day.
#[utoipa::path(operation_id = "listDeliveries", tag = "drivers", params(DeliveryFilter), responses(
    (status = 200, description = "A page of the past, with what you carry", body = DeliveriesView),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
))]
#[get("/drivers/me/deliveries")]
pub(super) async fn list(
    app: web::Data<AppState>,
    who: Approved<Drivers, Query<DeliveryFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (driver, filter) = (who.principal.user, who.rest.0);
    let limit = filter.limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let before = filter.cursor.map(|cursor| {
        let DeliveryCursor { at, id } = cursor.into_inner();
        (at, id)
    });
    let now = app.store.clock().now();
    let from = filter.day.map_or_else(|| today(now), Parsed::into_inner);
    let to = from.plus(DAY);
    let carried = app.store.carried_by(driver).await?;
    let mut past = app.store.past_of(driver, before, limit + 1).await?;
    let sums = app.store.earnings_of(driver, from, to).await?;
    let has_more = past.len() > limit as usize;
    past.truncate(limit as usize);
    let last = past.last().filter(|_| has_more).map(|last| &last.delivery);
    let next_cursor = last.map(|last| {
        DeliveryCursor { at: last.assigned_at.unwrap_or(last.created_at), id: last.id }.to_text()
    });
    let view = DeliveriesView {
        next_cursor,
        current: views(&app, who.principal, &carried, now).await?,
        past: views(&app, who.principal, &past, now).await?,
        day: DayView {
            from: from.to_rfc3339(),
            to: to.to_rfc3339(),
            sums: sums.iter().map(EarningsView::of).collect(),
        },
        limit,
        has_more,
    };
    Ok(HttpResponse::Ok().json(view))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>();
}

/// The beginning of the day in UTC.
fn today(now: Timestamp) -> Timestamp {
    let day = 86_400 * 1_000_000;
    Timestamp::from_micros(now.as_micros().div_euclid(day) * day)
}

async fn views(
    app: &AppState,
    who: Principal,
    listed: &[ListedDelivery],
    now: Timestamp,
) -> Result<Vec<DeliveryDetailsView>, ApiError> {
    let mut shops: Vec<_> = listed.iter().map(|one| one.order.business_id).collect();
    shops.sort_unstable();
    shops.dedup();
    let shops = if shops.is_empty() { Vec::new() } else { app.store.businesses_named(&shops).await? };
    let shops: BTreeMap<_, _> = shops.iter().map(|business| (business.id, business)).collect();
    Ok(listed.iter().map(|one| view_of(one, shops.get(&one.order.business_id).copied(), who, now)).collect())
}

impl EarningsView {
    fn of(sum: &Earnings) -> Self {
        Self {
            currency: sum.currency.to_string(),
            deliveries: sum.deliveries,
            payout_minor: sum.payout_minor,
            collected_minor: sum.collected_minor,
        }
    }
}
