//! Offers of a driver and the answers to them.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Principal;
use crate::domain::delivery::{AnswerRefusal, Offer, OfferOpened, told};
use crate::domain::ids::{DeliveryId, OfferId};
use crate::fail_point;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Drivers;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::Approved;
use crate::http::input::{Body, rules};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::http::routes::deliveries::answer_with;
use crate::protocol::delivery_views::DeliveryDetailsView;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{AnswerOffer, OfferAnswer};

/// The open offers of a driver.
#[derive(Serialize, ToSchema)]
pub(super) struct OffersView {
    /// The one that ends first comes first.
    items: Vec<OfferOpened>,
    /// The hub's time, by which they end; RFC 3339.
    now: String,
}

/// List your open offers, as `offer_opened` tells of them.
///
/// Count down by `remaining_ms`: the clock of a device may be wrong.
#[utoipa::path(operation_id = "listOffers", tag = "drivers", responses(
    (status = 200, description = "Those that are open", body = OffersView),
    (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
))]
#[get("/drivers/me/offers")]
pub(super) async fn list(app: web::Data<AppState>, who: Approved<Drivers>) -> Result<HttpResponse, ApiError> {
    let open = app.store.open_offers_of(who.principal.user).await?;
    let mut shops: Vec<_> = open.iter().map(|(offer, _)| offer.business).collect();
    shops.sort_unstable();
    shops.dedup();
    let shops = app.store.businesses_named(&shops).await?;
    let shops: BTreeMap<_, _> = shops.into_iter().map(|business| (business.id, business)).collect();
    let now = app.store.clock().now();
    let items = open.iter().filter_map(|(offer, of)| {
        let business = shops.get(&offer.business)?;
        Some(told::offered(offer, &of.order, business, now))
    });
    Ok(HttpResponse::Ok().json(OffersView { items: items.collect(), now: now.to_rfc3339() }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>();
}

/// Take a delivery that is offered to you.
///
/// One driver gets it, by the order in which answers are written. Repeated by the one who has it, it is answered again. It ends by the
/// hub's time, whatever the clock of the device says.
#[utoipa::path(operation_id = "acceptOffer", tag = "drivers",
    params(("id" = String, Path, description = "`off_…`")),
    responses(
        (status = 200, description = "The delivery is yours", body = DeliveryDetailsView),
        (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
        (status = 409, description = "`offer_taken`, `offer_expired`, `offer_withdrawn`, or `over_capacity`: you carry as much as you may"),
    ))]
#[post("/offers/{id}/accept")]
pub(super) async fn accept(
    app: web::Data<AppState>,
    who: Approved<Drivers, PathId<OfferId>>,
) -> Result<HttpResponse, ApiError> {
    let delivery = answer_offer(&app, who.principal, who.rest.0, OfferAnswer::Accept).await?;
    answer_with(&app, who.principal, delivery).await
}

impl Endpoint for accept {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>().rate(Rate::Move);
}

/// The answer of a driver who does not want a delivery.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Too far"}))]
pub(super) struct Refusal {
    /// Why.
    #[garde(inner(custom(rules::line::<200>)))]
    #[schema(min_length = 1, max_length = 200, example = "Too far")]
    reason: Option<String>,
}

/// Say that you do not want a delivery. You are not asked for it again, and it sets nobody offline.
#[utoipa::path(operation_id = "declineOffer", tag = "drivers", request_body = Refusal,
    params(("id" = String, Path, description = "`off_…`")),
    responses(
        (status = 204, description = "It is not open for you any more"),
        (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
        (status = 409, description = "`offer_accepted`: you have taken it; unassign it instead"),
    ))]
#[post("/offers/{id}/decline")]
pub(super) async fn decline(
    app: web::Data<AppState>,
    who: Approved<Drivers, (PathId<OfferId>, Body<Refusal>)>,
) -> Result<HttpResponse, ApiError> {
    let (id, body) = who.rest;
    let said = OfferAnswer::Decline { reason: body.0.reason };
    answer_offer(&app, who.principal, id.0, said).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for decline {
    const FACTS: RouteFacts = RouteFacts::of::<Drivers>().rate(Rate::Move).body_limit(4 * KIB);
}

/// Writes the answer of a driver to an offer of theirs. The delivery it is about.
async fn answer_offer(
    app: &AppState,
    who: Principal,
    id: OfferId,
    answer: OfferAnswer,
) -> Result<DeliveryId, ApiError> {
    let offer = app.store.offer(id).await?.filter(|offer| offer.driver == who.user);
    let Offer { id: offer, order, business, .. } = offer.ok_or_else(ApiError::not_found)?;
    let write = AnswerOffer { offer, order, business, driver: who.user, answer };
    fail_point::reach("answer_received");
    let answered = app.persistence.write(Box::new(write)).await?.map_err(refused)?;
    Ok(answered.delivery)
}

fn refused(refusal: AnswerRefusal) -> ApiError {
    let (code, detail) = match refusal {
        AnswerRefusal::NoSuchOffer => return ApiError::not_found(),
        AnswerRefusal::Taken => (ProblemCode::OfferTaken, "Another driver has the delivery."),
        AnswerRefusal::Expired => (ProblemCode::OfferExpired, "Its time was over when the answer came."),
        AnswerRefusal::Withdrawn => (ProblemCode::OfferWithdrawn, "It is not open for you any more."),
        AnswerRefusal::OverCapacity => {
            (ProblemCode::OverCapacity, "Deliver what you carry first, or raise your capacity.")
        }
        AnswerRefusal::Accepted => {
            (ProblemCode::OfferAccepted, "You have taken it; to give it back, unassign the delivery.")
        }
    };
    ApiError::new(code, detail)
}
