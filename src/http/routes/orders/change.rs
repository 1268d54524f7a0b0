//! Changing what an order says: when it is ready, where it goes, how to reach the customer, and the notes.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, patch, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::business::Location;
use crate::domain::ids::OrderId;
use crate::domain::order::{Address, ChangeRefusal, ChangeRequest, Fulfilment, Order, OrderField, Party};
use crate::protocol::problem::ProblemCode;
use crate::protocol::views::OrderView;
use crate::storage::commands::{ChangeError, ChangeOrder};

use super::access::{order_for, view_of_one};
use super::place_body::NewOrderAddress;
use super::place_refusal::not_offered;
use super::precondition::{Precondition, precondition, version_required};
use super::transition::not_their_move;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, rules};
use crate::http::limits::Rate;
use crate::http::response::etag::OrderTag;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// Changes of an order; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1, "notes": "The bell is broken, please knock"}))]
pub(super) struct OrderChanges {
    /// The version this was decided on; or send `If-Match`.
    #[garde(range(min = 1))]
    #[schema(minimum = 1, example = 1)]
    version: Option<i64>,
    /// Minutes from now until it is ready. For members and operators, from accepting until it is picked up.
    #[garde(range(min = 1, max = 120))]
    #[schema(minimum = 1, maximum = 120, example = 10)]
    ready_in_minutes: Option<i64>,
    /// Where a delivery goes. For its customer until it is accepted, for members and operators until it ends.
    #[garde(dive)]
    address: Option<NewOrderAddress>,
    /// The number of the customer, as people write it. For the same as `address`.
    #[garde(inner(custom(rules::phone)))]
    #[schema(min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    phone: Option<String>,
    /// For the kitchen; new lines are fine. For the same as `address`.
    #[garde(inner(custom(rules::block::<500>)))]
    #[schema(min_length = 1, max_length = 500, example = "The bell is broken, please knock")]
    notes: Option<String>,
}

impl OrderChanges {
    /// The changes as the order's rules judge them.
    fn into_request(self, party: Party, version: i64) -> ChangeRequest {
        let address =
            |a: NewOrderAddress| Address { text: a.text, location: Location { lat: a.lat, lng: a.lng } };
        let minutes = |minutes| u16::try_from(minutes).expect("the range of the field lies within 16 bits");
        ChangeRequest {
            party,
            version,
            ready_in_minutes: self.ready_in_minutes.map(minutes),
            address: self.address.map(address),
            phone: self.phone.map(|phone| rules::checked_phone(&phone)),
            notes: self.notes,
        }
    }

    fn is_empty(&self) -> bool {
        let Self { ready_in_minutes, address, phone, notes, .. } = self;
        ready_in_minutes.is_none() && address.is_none() && phone.is_none() && notes.is_none()
    }
}

/// Change an order.
///
/// The version has to be named, by `version` or by `If-Match`, of which the first number counts; a change leaves it as it is, since
/// it counts changes of the status. Everybody who follows the order hears `order_updated` with `changed`.
#[utoipa::path(operation_id = "changeOrder", tag = "orders", request_body = OrderChanges,
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` this was decided on"),
    ),
    responses(
        (status = 200, description = "The order as it is now", body = OrderView,
         headers(("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`, and after changes `.<changes>`"))),
        (status = 400, description = "`malformed`: `If-Match` is no entity tag"),
        (status = 403, description = "`not_your_move`: others say when it is ready"),
        (status = 409, description = "`stale_version` with `current_version` and `current_status`, `change_forbidden`: not in this status, or changed too often, or `not_offered` with `offered`: the business does not deliver that far"),
        (status = 412, description = "`precondition_failed` with `current_version` and `current_status`: `If-Match` is outdated"),
        (status = 428, description = "`version_required`"),
    ))]
#[patch("/orders/{id}")]
pub(super) async fn change(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<OrderId>,
    request: HttpRequest,
    body: Body<OrderChanges>,
) -> Result<HttpResponse, ApiError> {
    let (order, party) = order_for(&app, who.principal, id.0).await?;
    if body.0.is_empty() {
        return Err(ApiError::invalid_field("body", "names nothing to change"));
    }
    let named = body.0.version;
    let change = body.0.into_request(party, 0);
    // No version makes it theirs, so that none is asked for.
    if let Some(field) = change.never_theirs() {
        return Err(not_theirs(field));
    }
    let precondition = precondition(request.headers(), named)?.ok_or_else(version_required)?;
    let request = ChangeRequest { version: precondition.version(&order)?, ..change };
    check_distance(&app, &order, &request).await?;
    let (business, user) = (order.business_id, who.principal.user);
    let write = ChangeOrder { order: id.0, business, user, request };
    match app.persistence.write(Box::new(write)).await? {
        Ok(order) => {
            let mut response = HttpResponse::Ok().json(view_of_one(&app, &order, party).await);
            response.headers_mut().insert(ETAG, OrderTag::of(&order).header());
            Ok(response)
        }
        Err(ChangeError::NoSuchOrder) => Err(ApiError::not_found()),
        Err(ChangeError::Refused(refusal)) => Err(refused(refusal, &precondition)),
    }
}

impl Endpoint for change {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>().rate(Rate::Move);
}

/// Refuses a new address to which the business does not deliver for customers, as placing does. Members and operators know what
/// can be done.
///
/// # Errors
/// 409 `not_offered`.
async fn check_distance(app: &AppState, order: &Order, request: &ChangeRequest) -> Result<(), ApiError> {
    let Some(address) = request.address.as_ref().filter(|_| request.party == Party::Customer) else {
        return Ok(());
    };
    if order.fulfilment != Fulfilment::Delivery {
        return Ok(());
    }
    match app.store.business(order.business_id).await? {
        Some(business) if !business.delivers_to(address.location) => Err(not_offered(&business.accepts)),
        Some(_) | None => Ok(()),
    }
}

fn not_theirs(field: OrderField) -> ApiError {
    match field {
        OrderField::ReadyAt => ApiError::new(ProblemCode::NotYourMove, "Its business says when it is ready."),
        OrderField::Address
        | OrderField::Phone
        | OrderField::Notes
        | OrderField::Fulfilment
        | OrderField::DeliveredBy => not_their_move(),
    }
}

fn refused(refusal: ChangeRefusal, precondition: &Precondition) -> ApiError {
    match refusal {
        ChangeRefusal::Stale { current, status } => precondition.outdated(current, status),
        ChangeRefusal::NotTheirs(field) => not_theirs(field),
        ChangeRefusal::NotNow { field, status } => ApiError::new(
            ProblemCode::ChangeForbidden,
            format!("It is {} now, where you cannot change {}.", status.as_str(), field.as_str()),
        ),
        ChangeRefusal::TooOften => ApiError::new(
            ProblemCode::ChangeForbidden,
            "It has been changed as often as an order may be. Nothing was changed: call the business.",
        ),
        ChangeRefusal::NoDelivery => ApiError::invalid_field("address", "does not go with this fulfilment"),
    }
}
