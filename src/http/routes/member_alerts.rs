//! What members say about being called for their business.

use actix_web::{HttpRequest, HttpResponse, patch, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::ids::{BusinessId, UserId};
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::{PathId, path_text};
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::Body;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, Mount, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::UserChange;

use super::members::MemberView;

/// Mounts the route.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(change);
}

/// Whether a member is called.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"alert_me": true}))]
struct MemberAlerts {
    /// Whether a call may reach you when the contact of the business does not answer; your number is that of your account.
    /// Until you say so, owners are called and others are not.
    #[garde(skip)]
    alert_me: bool,
}

/// Say whether you want to be called for a business you are a member of. Only a member can say so, for themselves.
#[utoipa::path(operation_id = "changeMemberAlerts", tag = "businesses", request_body = MemberAlerts,
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("user" = String, Path, description = "`usr_…`, your own"),
    ),
    responses((status = 200, description = "The member as they are now", body = MemberView)))]
#[patch("/businesses/{id}/members/{user}")]
async fn change(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<MemberAlerts>,
) -> Result<HttpResponse, ApiError> {
    let user: UserId = path_text(&request, "user")?.parse().map_err(|_| ApiError::not_found())?;
    authorization::membership(&app, who.principal, id.0).await?;
    if user != who.principal.user {
        let detail = "Members say for themselves whether they are called.";
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    match app.persistence.set_alert_me(id.0, user, body.0.alert_me).await? {
        UserChange::Made => {}
        UserChange::NotThere => return Err(ApiError::not_found()),
    }
    let members = app.store.members(id.0).await?;
    let member = members.into_iter().find(|member| member.user == user).ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(MemberView::of(member)))
}

impl Endpoint for change {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().body_limit(4 * KIB);
}
