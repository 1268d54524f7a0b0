//! Accounts and businesses that operators keep from the hub, and let in again.

use actix_web::{HttpResponse, delete, post, web};

use crate::domain::business::{PauseCause, TradingChange};
use crate::domain::ids::{BusinessId, UserId};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::http::routes::accounts::UserView;
use crate::http::routes::businesses::{BusinessView, change};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{BusinessPatch, EndSessions, RestoreUser, SuspendUser, UserChange};

const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);

/// Suspend an account.
///
/// Its owner cannot sign in: 403 `account_suspended`. Every login session ends at once, with its tokens and sockets. A driver goes off and is
/// asked no more; what they have not picked up is given to others, and operators are told of the rest. Orders and businesses stay. Repeated,
/// it changes nothing.
#[utoipa::path(operation_id = "suspendUser", tag = "operations",
    params(("id" = String, Path, description = "`usr_…`")),
    responses(
        (status = 200, description = "The account as it is now", body = UserView),
        (status = 403, description = "`forbidden`: also for your own account"),
    ))]
#[post("/admin/users/{id}/suspend")]
pub(super) async fn suspend_user(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
) -> Result<HttpResponse, ApiError> {
    let (user, by) = (id.0, who.principal.user);
    if user == by {
        return Err(ApiError::new(ProblemCode::Forbidden, "Another operator has to suspend you."));
    }
    app.persistence.write(SuspendUser { user, by }).await?.ok_or_else(ApiError::not_found)?;
    tracing::info!(%user, %by, "an account was suspended");
    account(&app, user).await
}

impl Endpoint for suspend_user {
    const FACTS: RouteFacts = FACTS;
}

/// Let the owner of a suspended account sign in again.
///
/// Login sessions that have ended stay so. Repeated, it changes nothing.
#[utoipa::path(operation_id = "restoreUser", tag = "operations",
    params(("id" = String, Path, description = "`usr_…`")),
    responses((status = 200, description = "The account as it is now", body = UserView)))]
#[post("/admin/users/{id}/restore")]
pub(super) async fn restore_user(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
) -> Result<HttpResponse, ApiError> {
    let (user, by) = (id.0, who.principal.user);
    if app.persistence.write(RestoreUser { user, by }).await? == UserChange::NotThere {
        return Err(ApiError::not_found());
    }
    tracing::info!(%user, %by, "an account was restored");
    account(&app, user).await
}

impl Endpoint for restore_user {
    const FACTS: RouteFacts = FACTS;
}

/// End every login session of an account, with its tokens and sockets. Its owner can sign in again.
#[utoipa::path(operation_id = "endSessionsOfUser", tag = "operations",
    params(("id" = String, Path, description = "`usr_…`")),
    responses((status = 204, description = "They have ended")))]
#[delete("/admin/users/{id}/sessions")]
pub(super) async fn end_sessions(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
) -> Result<HttpResponse, ApiError> {
    let (user, by) = (id.0, who.principal.user);
    app.persistence.write(EndSessions { user, by }).await?.ok_or_else(ApiError::not_found)?;
    tracing::info!(%user, %by, "the login sessions of an account were ended");
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for end_sessions {
    const FACTS: RouteFacts = FACTS;
}

async fn account(app: &AppState, user: UserId) -> Result<HttpResponse, ApiError> {
    let user = app.store.user(user).await?.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(UserView::from(user)))
}

/// Suspend a business: a pause with the cause `operator` and without an end.
///
/// It takes no orders, and what is paid meanwhile goes back. Orders that it has taken go on. Repeated, it changes nothing but the time.
#[utoipa::path(operation_id = "suspendBusiness", tag = "operations",
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "The business as it is now", body = BusinessView)))]
#[post("/admin/businesses/{id}/suspend")]
pub(super) async fn suspend_business(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    let trading = Some(TradingChange::Paused { until: None });
    change(&app, who.principal, id.0, BusinessPatch { trading, ..BusinessPatch::default() }).await
}

impl Endpoint for suspend_business {
    const FACTS: RouteFacts = FACTS;
}

/// End the pause of a business by operators. Others hold on. Repeated, it changes nothing.
#[utoipa::path(operation_id = "restoreBusiness", tag = "operations",
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "The business as it is now", body = BusinessView)))]
#[post("/admin/businesses/{id}/restore")]
pub(super) async fn restore_business(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    let ended_pause = Some(PauseCause::Operator);
    change(&app, who.principal, id.0, BusinessPatch { ended_pause, ..BusinessPatch::default() }).await
}

impl Endpoint for restore_business {
    const FACTS: RouteFacts = FACTS;
}
