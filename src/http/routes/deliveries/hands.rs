//! A delivery given to a driver by hand, and taken from one.

use actix_web::{HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::{Principal, Role};
use crate::domain::delivery::{AssignRefusal, LeaveReason, LeaveRefusal};
use crate::domain::ids::{DeliveryId, OfferId, UserId};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::{DriversAndOperators, Operators};
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::{Approved, SignedIn};
use crate::http::input::{Body, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::delivery_views::DeliveryDetailsView;
use crate::protocol::problem::ProblemCode;
use crate::storage::ListedDelivery;
use crate::storage::commands::{AssignDriver, LeaveDelivery};

use super::view::{answer_with, party_of};

/// The driver who gets a delivery.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"driver_id": "usr_0190f3c1a2b37d4e8f00112233445566"}))]
pub(super) struct Assignment {
    /// `usr_…`
    #[garde(dive)]
    #[schema(schema_with = schema_of::<UserId>)]
    driver_id: Parsed<UserId>,
}

/// Give a delivery to a driver, whatever the ranking and the distance and whether they are on, but within their capacity.
///
/// Who had it loses it, also while it is on its way. Open offers are withdrawn. To give it to who has it already changes nothing.
#[utoipa::path(operation_id = "assignDelivery", tag = "operations", request_body = Assignment,
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "The driver has it", body = DeliveryDetailsView),
        (status = 409, description = "`over_capacity`, or `delivery_not_now`: it has ended"),
        (status = 422, description = "`invalid`: also for one who is no driver, or not approved"),
    ))]
#[post("/deliveries/{id}/assign")]
pub(super) async fn assign(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<DeliveryId>,
    body: Body<Assignment>,
) -> Result<HttpResponse, ApiError> {
    let ListedDelivery { order, .. } = app.store.delivery(id.0).await?.ok_or_else(ApiError::not_found)?;
    let (driver, user) = (body.0.driver_id.into_inner(), who.principal.user);
    let (order, business) = (order.id, order.business_id);
    let write = AssignDriver { order, business, driver, user, offer: OfferId::generate() };
    app.persistence.write(write).await?.map_err(|refusal| match refusal {
        AssignRefusal::NoSuchDelivery => ApiError::not_found(),
        AssignRefusal::NoSuchDriver => {
            ApiError::invalid_field("driver_id", "is not the account of a driver who is approved")
        }
        AssignRefusal::OverCapacity => ApiError::new(
            ProblemCode::OverCapacity,
            "Take something from them first, or choose another driver.",
        ),
        AssignRefusal::Ended => ApiError::new(ProblemCode::DeliveryNotNow, "It has ended."),
    })?;
    answer_with(&app, who.principal, id.0).await
}

impl Endpoint for assign {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().rate(Rate::Move).body_limit(2 * KIB);
}

/// Why a delivery leaves its driver.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "A flat tyre"}))]
pub(super) struct Unassignment {
    /// Why. `business_late` of its driver is nobody's fault but the business's, from `dispatch.wait_s` after the driver came and the food was
    /// to be ready.
    #[garde(custom(rules::line::<200>))]
    #[schema(min_length = 1, max_length = 200, example = "A flat tyre")]
    reason: String,
}

/// What a driver got rid of.
#[derive(Serialize, ToSchema)]
pub(super) struct UnassignedView {
    /// `dlv_…`
    delivery_id: String,
    /// `ord_…`
    order_id: String,
    /// Whether it had left its driver before.
    already: bool,
}

/// Take a delivery from its driver before it was picked up: for its driver, and for operators. Another one is searched at once.
#[utoipa::path(operation_id = "unassignDelivery", tag = "drivers", request_body = Unassignment,
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "Nobody has it", body = UnassignedView),
        (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
        (status = 409, description = "`delivery_not_now`: it is under way, with nobody, or has ended"),
    ))]
#[post("/deliveries/{id}/unassign")]
pub(super) async fn unassign(
    app: web::Data<AppState>,
    who: Approved<DriversAndOperators, (PathId<DeliveryId>, Body<Unassignment>)>,
) -> Result<HttpResponse, ApiError> {
    let (id, Body(Unassignment { reason: text })) = who.rest;
    let who = who.principal;
    let ListedDelivery { order, .. } = app.store.delivery(id.0).await?.ok_or_else(ApiError::not_found)?;
    let (order, business) = (order.id, order.business_id);
    let (party, user) = (party_of(who.role), Some(who.user));
    let write =
        LeaveDelivery { order, business, party, user, reason: reason_of(who, &text), text: Some(text) };
    let left = app.persistence.write(Box::new(write)).await?.map_err(|refusal| match refusal {
        LeaveRefusal::NoSuchDelivery => ApiError::not_found(),
        LeaveRefusal::NotNow { from } => {
            let detail =
                format!("The delivery is {from} now: it leaves a driver before it is picked up only.");
            ApiError::new(ProblemCode::DeliveryNotNow, detail)
        }
    })?;
    let (delivery_id, order_id) = (left.delivery.to_string(), left.order.to_string());
    Ok(HttpResponse::Ok().json(UnassignedView { delivery_id, order_id, already: left.already }))
}

impl Endpoint for unassign {
    const FACTS: RouteFacts = RouteFacts::of::<DriversAndOperators>().rate(Rate::Move).body_limit(4 * KIB);
}

fn reason_of(who: Principal, text: &str) -> LeaveReason {
    match who.role {
        Role::Driver if text == LeaveReason::BusinessLate.as_str() => LeaveReason::BusinessLate,
        Role::Driver => LeaveReason::Driver,
        Role::Admin | Role::Merchant | Role::Customer => LeaveReason::Operator,
    }
}
