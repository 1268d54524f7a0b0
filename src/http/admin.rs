//! What operators do over HTTP.

use actix_web::{HttpResponse, delete, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::ids::UserId;
use crate::storage::commands::UserChange;

use super::accounts::UserView;
use super::identity::{Operators, SignedIn};
use super::input::PathId;
use super::problem::ApiError;
use super::state::{Api, Deployment};

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(reset_limits).service(approve);
}

/// Give everybody their rate limits back.
///
/// For test systems: in production there is no such route.
#[utoipa::path(operation_id = "resetRateLimits", tag = "operations", security(("bearer" = [])), responses(
    (status = 204, description = "Nothing is spent"),
    (status = 404, description = "This is production"),
))]
#[delete("/admin/rate-limits")]
async fn reset_limits(api: web::Data<Api>, _who: SignedIn<Operators>) -> Result<HttpResponse, ApiError> {
    if api.deployment == Deployment::Production {
        return Err(ApiError::not_found());
    }
    if let Some(limits) = &api.limits {
        limits.reset();
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Approve an account, which drivers have to wait for.
///
/// What is for drivers is open to them from now on; they need not sign in again. Repeated, it changes nothing.
#[utoipa::path(tag = "operations", security(("bearer" = [])),
    params(("id" = String, Path, description = "`usr_…`")),
    responses((status = 200, description = "The account as it is now", body = UserView)))]
#[post("/admin/users/{id}/approve")]
async fn approve(
    api: web::Data<Api>,
    who: SignedIn<Operators>,
    id: PathId<UserId>,
) -> Result<HttpResponse, ApiError> {
    if api.persistence.approve_user(id.0).await? == UserChange::NotThere {
        return Err(ApiError::not_found());
    }
    let user = api.store.user(id.0).await?.ok_or_else(ApiError::not_found)?;
    tracing::info!(user = %user.id, by = %who.principal.user, "an account was approved");
    Ok(HttpResponse::Ok().json(UserView::from(user)))
}
