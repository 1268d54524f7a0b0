//! What operators do over HTTP.

use actix_web::{HttpResponse, delete, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::identity::{Operators, SignedIn};
use super::problem::ApiError;
use super::state::{Api, Deployment};

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(reset_limits);
}

/// Give everybody their rate limits back.
///
/// For test systems: in production there is no such route.
#[utoipa::path(tag = "operations", security(("bearer" = [])), responses(
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
