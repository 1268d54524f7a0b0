//! A delivery as its driver, the business and operators see it.

use actix_web::{HttpResponse, get, web};

use crate::domain::access::{Principal, Role};
use crate::domain::authorization::sees_contact;
use crate::domain::business::Business;
use crate::domain::delivery::table::reportable;
use crate::domain::ids::{DeliveryId, UserId};
use crate::domain::order::Party;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::WorksOnDeliveries;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::Approved;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::delivery_views::{DeliveryDetailsView, DeliverySight};
use crate::protocol::driver_views::CourierView;
use crate::protocol::views::Contact;
use crate::storage::ListedDelivery;

/// Read a delivery: for its driver, the business and operators. Customers read its order.
#[utoipa::path(operation_id = "readDelivery", tag = "drivers",
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "As it is now", body = DeliveryDetailsView),
        (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
    ))]
#[get("/deliveries/{id}")]
pub(super) async fn read(
    app: web::Data<AppState>,
    who: Approved<WorksOnDeliveries, PathId<DeliveryId>>,
) -> Result<HttpResponse, ApiError> {
    let listed = delivery_for(&app, who.principal, who.rest.0).await?;
    answer(&app, who.principal, &listed).await
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<WorksOnDeliveries>();
}

/// A delivery that somebody may see: its driver, while they have it and as the one who had it at its end; members of the business, and operators.
///
/// # Errors
/// 404 for everybody else, whether or not it exists.
pub(super) async fn delivery_for(
    app: &AppState,
    who: Principal,
    id: DeliveryId,
) -> Result<ListedDelivery, ApiError> {
    let listed = app.store.delivery(id).await?.ok_or_else(ApiError::not_found)?;
    match who.role {
        Role::Admin => {}
        Role::Driver if listed.delivery.driver == Some(who.user) => {}
        Role::Merchant => {
            authorization::membership(app, who, listed.order.business_id).await?;
        }
        Role::Driver | Role::Customer => return Err(ApiError::not_found()),
    }
    Ok(listed)
}

/// The party in which a role works on deliveries.
pub(super) const fn party_of(role: Role) -> Party {
    match role {
        Role::Driver => Party::Driver,
        Role::Merchant => Party::Member,
        Role::Admin => Party::Admin,
        Role::Customer => Party::Customer,
    }
}

/// Answers with a delivery as it is after a change.
///
/// # Errors
/// 404 where the caller has it no more.
pub(in crate::http::routes) async fn answer_with(
    app: &AppState,
    who: Principal,
    id: DeliveryId,
) -> Result<HttpResponse, ApiError> {
    let listed = delivery_for(app, who, id).await?;
    answer(app, who, &listed).await
}

async fn answer(app: &AppState, who: Principal, listed: &ListedDelivery) -> Result<HttpResponse, ApiError> {
    let business = app.store.business(listed.order.business_id).await?;
    let now = app.store.clock().now();
    let mut view = view_of(listed, business.as_ref(), who, now);
    if who.role != Role::Driver {
        view.driver = courier(app, listed).await?;
    }
    Ok(HttpResponse::Ok().json(view))
}

/// The driver of a delivery, and where they are while they have it.
async fn courier(app: &AppState, listed: &ListedDelivery) -> Result<Option<CourierView>, ApiError> {
    let Some(driver) = listed.delivery.driver else { return Ok(None) };
    let driver = app.store.driver(driver).await?;
    Ok(driver.map(|driver| CourierView::new(&driver, listed.delivery.status.is_carried())))
}

/// A delivery as somebody sees it who may see it.
pub(in crate::http::routes) fn view_of(
    listed: &ListedDelivery,
    business: Option<&Business>,
    who: Principal,
    now: Timestamp,
) -> DeliveryDetailsView {
    let ListedDelivery { delivery, order } = listed;
    let party = party_of(who.role);
    let is_theirs = |driver: Option<UserId>| driver == Some(who.user);
    let contact = if sees_contact(party, order, now) { Contact::Shown } else { Contact::Hidden };
    let sight = DeliverySight {
        contact,
        shows_payout: party == Party::Admin || is_theirs(delivery.driver),
        steps: reportable(delivery.status, party),
        driver: None,
    };
    DeliveryDetailsView::new(delivery, order, business, sight)
}
