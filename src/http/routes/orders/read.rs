//! Reading one order.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, web};

use crate::domain::ids::OrderId;
use crate::protocol::views::OrderView;

use super::access::{cached_order_for, sees_driver, view_of_one};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::etag::OrderTag;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// Read an order.
#[utoipa::path(operation_id = "readOrder", tag = "orders",
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` you have"),
    ),
    responses(
        (status = 200, description = "The order; phone and address for those who may see them", body = OrderView,
         headers(("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`: changes with each of the three"), ("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`"))),
        (status = 304, description = "You have the order as it is now; not while you see where its driver is"),
    ))]
#[get("/orders/{id}")]
pub(super) async fn read(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<OrderId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let mut freshness = CacheStatus::new();
    let (order, party) = cached_order_for(&app, who.principal, id.0, &mut freshness).await?;
    let tag = OrderTag::of(&order);
    // A position is no change of the order.
    let shows_position = order.delivery.is_some_and(|delivery| sees_driver(party, delivery.status));
    let mut response = if !shows_position && tag.is_in(request.headers(), IF_NONE_MATCH) {
        HttpResponse::NotModified().finish()
    } else {
        HttpResponse::Ok().json(view_of_one(&app, &order, party).await)
    };
    freshness.mark(&mut response);
    let headers = response.headers_mut();
    headers.insert(ETAG, tag.header());
    headers.insert(CACHE_CONTROL, actix_web::http::header::HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
