//! Moving an order along its table.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, patch, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::OrderId;
use crate::domain::order::table::{Row, verdict};
use crate::domain::order::{Fulfilment, MoveRefusal, MoveRequest, Order, Party, ReasonRule, Status, Verdict};
use crate::protocol::problem::ProblemCode;
use crate::protocol::views::OrderView;
use crate::storage::commands::{Aftermath, MoveError, MoveOrder};

use super::access::{order_for, view_of_one};
use super::precondition::{Precondition, precondition, version_required};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::etag::OrderTag;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// A transition of an order.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "accepted", "version": 1, "prep_minutes": 25}))]
pub(super) struct StatusChange {
    /// The new status.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Status>)]
    status: Parsed<Status>,
    /// The version this was decided on; or send `If-Match`.
    #[garde(range(min = 1))]
    #[schema(minimum = 1, example = 1)]
    version: Option<i64>,
    /// The reason; required of members and operators who cancel, of operators who correct an end, and with `failed`, where it
    /// is one of `customer_unreachable`, `wrong_address`, `refused`, `damaged`, `driver_fault`, or `no_show` from `ready`.
    #[garde(inner(custom(rules::block::<300>)))]
    #[schema(min_length = 1, max_length = 300, example = "The oven broke")]
    reason: Option<String>,
    /// Minutes promised; counts with `accepted`. Without it the order takes what the business takes by default, and longer
    /// while it is `busy`.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 25)]
    prep_minutes: Option<i64>,
    /// The party that brings it, with `accepted` and for a delivery; that of the business unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<DeliveredBy>)]
    delivered_by: Option<Parsed<DeliveredBy>>,
}

/// Change the status of an order.
///
/// The version has to be named, by `version` or by `If-Match`, of which the first number counts. An order that stands there already
/// is answered unchanged. A move that nobody makes with an order like this is 409 whatever the version.
#[utoipa::path(operation_id = "moveOrder", tag = "orders", request_body = StatusChange,
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` this was decided on"),
    ),
    responses(
        (status = 200, description = "The order as it is now", body = OrderView,
         headers(("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`"))),
        (status = 400, description = "`malformed`: `If-Match` is no entity tag"),
        (status = 403, description = "`not_your_move`: others make it"),
        (status = 409, description = "`stale_version` with `current_version` and `current_status`, or `move_forbidden` with `allowed`"),
        (status = 412, description = "`precondition_failed` with `current_version` and `current_status`: `If-Match` is outdated"),
        (status = 428, description = "`version_required`"),
    ))]
#[patch("/orders/{id}/status")]
pub(super) async fn change_status(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<OrderId>,
    request: HttpRequest,
    body: Body<StatusChange>,
) -> Result<HttpResponse, ApiError> {
    let StatusChange { status, version, reason, prep_minutes, delivered_by } = body.0;
    let to = status.into_inner();
    let (order, party) = order_for(&app, who.principal, id.0).await?;
    let verdict = verdict(order.status, to, order.way(), party);
    match &verdict {
        Verdict::NobodysMove { allowed } => return Err(forbidden(order.status, allowed)),
        Verdict::NotTheirMove => return Err(not_their_move()),
        // What the table lets a driver do is done by the steps of the delivery.
        _ if party == Party::Driver => return Err(not_their_move()),
        Verdict::AlreadyThere | Verdict::Forbidden { .. } | Verdict::Allowed(_) => {}
    }
    let precondition = precondition(request.headers(), version)?.ok_or_else(version_required)?;
    let version = precondition.version(&order)?;
    if let Verdict::Allowed(row) = verdict {
        check_reason(row, party, reason.as_deref())?;
    }
    let delivered_by = delivered_by.map(Parsed::into_inner);
    if delivered_by.is_some() {
        check_delivery(to, &order)?;
    }
    let prep_minutes = prep_minutes
        .map(|minutes| u16::try_from(minutes).expect("the range of the field lies within 16 bits"));
    let request = MoveRequest { party, to, version, prep_minutes, delivered_by };
    let (order, business) = (id.0, order.business_id);
    let (user, aftermath) = (Some(who.principal.user), Aftermath::Usual);
    let wish = MoveOrder { order, business, user, request, reason, aftermath };
    match app.persistence.move_order(wish).await? {
        Ok(order) => {
            let mut response = HttpResponse::Ok().json(view_of_one(&app, &order, party).await);
            response.headers_mut().insert(ETAG, OrderTag::of(&order).header());
            Ok(response)
        }
        Err(MoveError::NoSuchOrder) => Err(ApiError::not_found()),
        Err(MoveError::Refused(refusal)) => Err(refused(refusal, &precondition)),
    }
}

impl Endpoint for change_status {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>().rate(Rate::Move);
}

/// Checks the reason against what the transition needs of this party.
fn check_reason(row: &Row, party: Party, reason: Option<&str>) -> Result<(), ApiError> {
    let message = match row.reason(party) {
        ReasonRule::Required if reason.is_none() => format!("is required with {}", row.to),
        ReasonRule::OneOf(known) if !known.iter().any(|word| reason == Some(word.as_str())) => {
            let words: Vec<&str> = known.iter().map(|word| word.as_str()).collect();
            format!("must be one of {}", words.join(", "))
        }
        ReasonRule::Optional | ReasonRule::Required | ReasonRule::OneOf(_) => return Ok(()),
    };
    Err(ApiError::invalid_field("reason", message))
}

fn check_delivery(to: Status, order: &Order) -> Result<(), ApiError> {
    if to == Status::Accepted && order.fulfilment == Fulfilment::Delivery {
        return Ok(());
    }
    Err(ApiError::invalid_field("delivered_by", "goes with accepted and a delivery only"))
}

pub(super) fn not_their_move() -> ApiError {
    ApiError::new(ProblemCode::NotYourMove, "Somebody else makes this move.")
}

fn forbidden(from: Status, allowed: &[Status]) -> ApiError {
    let detail = format!("It is {} now; see allowed for where you can move it.", from.as_str());
    ApiError::new(ProblemCode::MoveForbidden, detail)
        .allowed(allowed.iter().map(|status| status.as_str().to_owned()).collect())
}

fn refused(refusal: MoveRefusal, precondition: &Precondition) -> ApiError {
    match refusal {
        MoveRefusal::NotTheirMove => not_their_move(),
        MoveRefusal::Stale { current, status } => precondition.outdated(current, status),
        MoveRefusal::Forbidden { from, allowed } => forbidden(from, &allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::table::TABLE;

    #[test]
    fn a_failure_has_one_of_the_reasons_and_a_cancel_by_others_than_the_customer_any() {
        let good = |from, to, party, reason| {
            let row =
                TABLE.iter().find(|row| row.from == from && row.to == to && row.parties.contains(&party));
            check_reason(row.unwrap_or_else(|| panic!("{from} to {to}")), party, reason).is_ok()
        };
        let (placed, ready, on_the_way) = (Status::Placed, Status::Ready, Status::PickedUp);
        assert!(good(on_the_way, Status::Failed, Party::Member, Some("customer_unreachable")));
        assert!(!good(on_the_way, Status::Failed, Party::Member, Some("no_show")));
        assert!(!good(on_the_way, Status::Failed, Party::Admin, Some("nobody was there")));
        assert!(!good(on_the_way, Status::Failed, Party::Member, None));
        assert!(good(ready, Status::Failed, Party::Member, Some("no_show")));
        assert!(!good(ready, Status::Failed, Party::Member, Some("refused")));
        assert!(good(placed, Status::Cancelled, Party::Customer, None));
        assert!(!good(placed, Status::Cancelled, Party::Admin, None));
        assert!(good(placed, Status::Rejected, Party::Member, None));
        assert!(!good(Status::Delivered, Status::PickedUp, Party::Admin, None));
        assert!(good(Status::Delivered, Status::PickedUp, Party::Admin, Some("the other bag")));
    }
}
