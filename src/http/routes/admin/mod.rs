//! Administration by operators.

mod businesses;
mod dead_letters;
mod drivers;
mod holds;
mod nodes;
mod refunds;
mod suspensions;

use actix_web::{HttpResponse, delete, post, web};

use crate::domain::ids::UserId;
use crate::storage::commands::{ResetQuotas, UserChange};

use crate::http::app_state::AppState;
use crate::http::deployment::Deployment;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, Mount, RouteFacts};
use crate::http::routes::accounts::UserView;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(reset_limits)
        .endpoint(approve)
        .endpoint(suspensions::suspend_user)
        .endpoint(suspensions::restore_user)
        .endpoint(suspensions::end_sessions)
        .endpoint(suspensions::suspend_business)
        .endpoint(suspensions::restore_business)
        .endpoint(businesses::businesses)
        .endpoint(drivers::list)
        .endpoint(drivers::put)
        .endpoint(holds::list)
        .endpoint(holds::put)
        .endpoint(nodes::nodes)
        .endpoint(nodes::room)
        .endpoint(refunds::list)
        .endpoint(refunds::retry)
        .endpoint(refunds::settle)
        .endpoint(dead_letters::list)
        .endpoint(dead_letters::replay_all)
        .endpoint(dead_letters::read)
        .endpoint(dead_letters::replay_one);
}

/// Give everybody their rate limits back, at once on the node that answers and within five seconds on the others.
///
/// For test systems: in production there is no such route.
#[utoipa::path(operation_id = "resetRateLimits", tag = "operations", responses(
    (status = 204, description = "Nothing is spent"),
    (status = 404, description = "This is production"),
))]
#[delete("/admin/rate-limits")]
async fn reset_limits(app: web::Data<AppState>, _who: SignedIn<Operators>) -> Result<HttpResponse, ApiError> {
    if app.deployment == Deployment::Production {
        return Err(ApiError::not_found());
    }
    let era = app.persistence.write(ResetQuotas).await?;
    app.nodes.quotas_reset(era);
    Ok(HttpResponse::NoContent().finish())
}

impl Endpoint for reset_limits {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Approve an account, which drivers have to wait for.
///
/// Routes for drivers are open to them from now on; they need not sign in again. Repeated, it changes nothing.
#[utoipa::path(tag = "operations",
    params(("id" = String, Path, description = "`usr_…`")),
    responses((status = 200, description = "The account as it is now", body = UserView)))]
#[post("/admin/users/{id}/approve")]
async fn approve(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
) -> Result<HttpResponse, ApiError> {
    if app.persistence.approve_user(id.0).await? == UserChange::NotThere {
        return Err(ApiError::not_found());
    }
    let user = app.store.user(id.0).await?.ok_or_else(ApiError::not_found)?;
    tracing::info!(user = %user.id, by = %who.principal.user, "an account was approved");
    Ok(HttpResponse::Ok().json(UserView::from(user)))
}

impl Endpoint for approve {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}
