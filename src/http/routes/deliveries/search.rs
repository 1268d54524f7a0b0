//! The search for a driver: extended by operators, ended by a business that brings the order itself.

use std::time::Duration;

use actix_web::{HttpResponse, patch, post, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::{Merchants, Operators};
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, Parsed, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::http::routes::orders::fulfilment::{OrderWay, go_another_way, way_refused};
use crate::protocol::delivery_views::DeliveryDetailsView;
use crate::protocol::views::OrderView;
use crate::storage::commands::{ExtendSearch, OtherWay};

use super::view::{answer_with, delivery_for, party_of};

/// The farthest time until which a driver can be searched for: nobody eats what was cooked longer ago.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Until when a driver is searched for.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"give_up_at": "2026-01-31T19:30:00Z"}))]
pub(super) struct SearchChange {
    /// The time at which the hub gives up, at most 12 hours ahead.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    give_up_at: Parsed<Timestamp>,
}

/// Say until when a driver is searched for a delivery.
#[utoipa::path(operation_id = "extendSearch", tag = "operations", request_body = SearchChange,
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "It is searched for until then", body = DeliveryDetailsView),
        (status = 409, description = "`not_searched`: a driver has it, or it has ended"),
    ))]
#[patch("/deliveries/{id}")]
pub(super) async fn extend(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<DeliveryId>,
    body: Body<SearchChange>,
) -> Result<HttpResponse, ApiError> {
    let listed = delivery_for(&app, who.principal, id.0).await?;
    let (until, now) = (body.0.give_up_at.into_inner(), app.store.clock().now());
    if until <= now || until > now.plus(LONGEST) {
        return Err(ApiError::invalid_field("give_up_at", "must lie ahead, by at most 12 hours"));
    }
    let (order, business) = (listed.order.id, listed.order.business_id);
    let write = ExtendSearch { order, business, user: who.principal.user, until };
    app.persistence.write(write).await?.map_err(way_refused)?;
    answer_with(&app, who.principal, id.0).await
}

impl Endpoint for extend {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().rate(Rate::Move).body_limit(2 * KIB);
}

/// Bring an order yourself, while a driver is searched for it: for members of the business. From then on they report its progress by
/// its status. Repeated, it changes nothing.
#[utoipa::path(operation_id = "bringOrder", tag = "drivers",
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "The order as it is now", body = OrderView),
        (status = 409, description = "`not_searched`: a driver has it, or it has ended"),
    ))]
#[post("/deliveries/{id}/own")]
pub(super) async fn bring_yourself(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<DeliveryId>,
) -> Result<HttpResponse, ApiError> {
    let listed = delivery_for(&app, who.principal, id.0).await?;
    let way = OrderWay { way: OtherWay::Own, party: party_of(who.principal.role) };
    go_another_way(&app, who.principal, &listed.order, way).await
}

impl Endpoint for bring_yourself {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().rate(Rate::Move);
}
