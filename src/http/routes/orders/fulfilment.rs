//! An order that goes another way than by drivers.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, post, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::access::Principal;
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::OrderId;
use crate::domain::order::{Fulfilment, Order, Party};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::CustomersAndOperators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, FromText, Parsed, one_of, schema_of};
use crate::http::limits::Rate;
use crate::http::response::etag::OrderTag;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::protocol::views::OrderView;
use crate::storage::commands::{ChangeWay, OtherWay, WayRefusal};

use super::access::{order_for, view_of_one};

/// The one fulfilment that an order can be changed to.
#[derive(Clone, Copy, Debug)]
struct FetchedOnly;

impl FromText for FetchedOnly {
    const EXAMPLE: &'static str = "pickup";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&[Fulfilment::Pickup], Fulfilment::as_str, text).map(|_| Self)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(vec![Fulfilment::Pickup.as_str()])
    }
}

/// Another fulfilment of an order.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fulfilment": "pickup"}))]
pub(super) struct FulfilmentChange {
    /// `pickup`: the customer fetches it.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<FetchedOnly>)]
    fulfilment: Parsed<FetchedOnly>,
}

/// Fetch an order yourself, while a driver is searched for it: for its customer, and for operators. Repeated, it changes nothing.
#[utoipa::path(operation_id = "fetchOrder", tag = "orders", request_body = FulfilmentChange,
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 200, description = "The order as it is now", body = OrderView,
         headers(("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`"))),
        (status = 409, description = "`not_searched`: no driver is searched for it: one has it, the business brings it, or it has ended"),
    ))]
#[post("/orders/{id}/fulfilment")]
pub(super) async fn fetch(
    app: web::Data<AppState>,
    who: SignedIn<CustomersAndOperators>,
    id: PathId<OrderId>,
    body: Body<FulfilmentChange>,
) -> Result<HttpResponse, ApiError> {
    let FetchedOnly = body.0.fulfilment.into_inner();
    let (order, party) = order_for(&app, who.principal, id.0).await?;
    go_another_way(&app, who.principal, &order, OrderWay { way: OtherWay::Pickup, party }).await
}

impl Endpoint for fetch {
    const FACTS: RouteFacts = RouteFacts::of::<CustomersAndOperators>().rate(Rate::Move).body_limit(2 * KIB);
}

/// The other way of an order, and the party that wants it.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::routes) struct OrderWay {
    /// The way.
    pub(in crate::http::routes) way: OtherWay,
    /// The party.
    pub(in crate::http::routes) party: Party,
}

/// Lets an order go another way, and answers with it.
///
/// # Errors
/// 409 `not_searched`.
pub(in crate::http::routes) async fn go_another_way(
    app: &AppState,
    who: Principal,
    order: &Order,
    OrderWay { way, party }: OrderWay,
) -> Result<HttpResponse, ApiError> {
    let write = ChangeWay { order: order.id, business: order.business_id, party, user: who.user, way };
    let refusal = app.persistence.write(write).await?.err();
    let order = app.store.order(order.id).await?.ok_or_else(ApiError::not_found)?;
    // Said again, it is answered again.
    if let Some(refusal) = refusal.filter(|_| !goes(&order, way)) {
        return Err(way_refused(refusal));
    }
    let mut response = HttpResponse::Ok().json(view_of_one(app, &order, party).await);
    response.headers_mut().insert(ETAG, OrderTag::of(&order).header());
    Ok(response)
}

/// Whether an order for which a driver was searched goes this way now.
fn goes(order: &Order, way: OtherWay) -> bool {
    let is_so = match way {
        OtherWay::Own => order.delivered_by == Some(DeliveredBy::Business),
        OtherWay::Pickup => order.fulfilment == Fulfilment::Pickup,
    };
    is_so && order.delivery.is_some()
}

/// Why an order goes no other way, or is not searched for any longer.
pub(in crate::http::routes) fn way_refused(refusal: WayRefusal) -> ApiError {
    match refusal {
        WayRefusal::NoSuchOrder => ApiError::not_found(),
        WayRefusal::NotSearched => ApiError::new(
            ProblemCode::NotSearched,
            "A driver has it, it goes another way already, or it has ended; read it to see how it stands.",
        ),
    }
}
