//! Ringing for an order by hand.

use actix_web::{HttpResponse, post, web};

use crate::domain::ids::OrderId;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{RingOrder, RingOutcome};

use super::access::order_for;

/// Let the devices of a business ring for an order that waits for its answer, now and at their pace from then on.
#[utoipa::path(operation_id = "ringOrder", tag = "operations",
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 204, description = "They ring"),
        (status = 409, description = "`not_ringing`: it does not wait for an answer"),
    ))]
#[post("/orders/{id}/ring")]
pub(super) async fn ring(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<OrderId>,
) -> Result<HttpResponse, ApiError> {
    let (order, _) = order_for(&app, who.principal, id.0).await?;
    let write = RingOrder { order: id.0, business: order.business_id, user: who.principal.user };
    match app.persistence.write(write).await? {
        RingOutcome::Rings => Ok(HttpResponse::NoContent().finish()),
        RingOutcome::NoSuchOrder => Err(ApiError::not_found()),
        RingOutcome::NotWaiting => Err(ApiError::new(
            ProblemCode::NotRinging,
            "Only an order that waits for an answer rings; read it to see where it stands.",
        )),
    }
}

impl Endpoint for ring {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().rate(Rate::Move);
}
