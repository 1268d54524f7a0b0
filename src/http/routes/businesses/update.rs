//! Changing a business.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::{HttpResponse, patch, web};

use crate::domain::access::{Principal, Role};
use crate::domain::business::Hand;
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::Body;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{BusinessPatch, BusinessUpdate, UpdateBusiness};

use super::dto::BusinessChanges;
use super::view::{BusinessView, BusinessViewer};

/// Change a business you are a member of. Members say whether it takes orders (`state`, `extra_minutes`, `paused_until`); everything
/// else is for owners. `paused` begins a pause beside the state, and another state ends the pauses of the same hand.
#[utoipa::path(operation_id = "changeBusiness", tag = "businesses", request_body = BusinessChanges,
    params(("id" = String, Path, description = "`biz_…`")),
    responses(
        (status = 200, description = "The business as it is now", body = BusinessView),
        (status = 403, description = "`forbidden`: this is for owners"),
        (status = 409, description = "`currency_in_use`: there are prices or orders in the present currency, or `zone_held`: operators hold something in the present zone or the new one"),
    ))]
#[patch("/businesses/{id}")]
pub(super) async fn update(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    body: Body<BusinessChanges>,
) -> Result<HttpResponse, ApiError> {
    if body.0.is_of_state_only() {
        authorization::membership(&app, who.principal, id.0).await?;
    } else {
        authorization::require_owner(&app, who.principal, id.0).await?;
    }
    if body.0.is_empty() {
        return Err(ApiError::invalid_field("body", "names nothing to change"));
    }
    let patch = body.0.into_patch(hand_of(who.principal), Timestamp::now())?;
    change(&app, who.principal, id.0, patch).await
}

/// Changes a business and answers with it.
pub(in crate::http::routes) async fn change(
    app: &AppState,
    who: Principal,
    business: BusinessId,
    patch: BusinessPatch,
) -> Result<HttpResponse, ApiError> {
    let write = UpdateBusiness { business, user: who.user, hand: hand_of(who), patch: Box::new(patch) };
    match app.persistence.write(write).await? {
        BusinessUpdate::Updated(business) => Ok(HttpResponse::Ok().json(BusinessView::new(
            &business,
            BusinessViewer::Member,
            Timestamp::now(),
        ))),
        BusinessUpdate::NotThere => Err(ApiError::not_found()),
        BusinessUpdate::ZoneHeld => Err(ApiError::new(
            ProblemCode::ZoneHeld,
            "Operators hold something in its present zone or in the new one. Change the zone when that is over.",
        )),
        BusinessUpdate::CurrencyInUse => Err(ApiError::new(
            ProblemCode::CurrencyInUse,
            "There are prices or orders in its present currency. Take every item off the menu to change it; a business that \
             had orders keeps its currency: make another business.",
        )),
    }
}

/// The capacity in which somebody who may change a business does so.
pub(super) fn hand_of(who: Principal) -> Hand {
    if who.role == Role::Admin { Hand::Operator } else { Hand::Member }
}

impl Endpoint for update {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
