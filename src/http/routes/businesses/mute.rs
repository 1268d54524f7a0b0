//! Silencing the calls and mail of a business for a while.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::time::Duration;

use actix_web::{HttpResponse, post, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, Parsed, schema_of};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::storage::commands::BusinessPatch;

use super::update::change;
use super::view::BusinessView;

/// The longest time without calls: a night.
const LONGEST: Duration = Duration::from_secs(8 * 3600);

/// How long calls and mail are silent.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"until": null}))]
pub(super) struct Mute {
    /// At most eight hours ahead; `null` ends it.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    until: Option<Parsed<Timestamp>>,
}

/// Silence calls and mail about orders that wait, never devices, of a business you are a member of.
#[utoipa::path(operation_id = "muteAlerts", tag = "businesses", request_body = Mute,
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "The business as it is now", body = BusinessView)))]
#[post("/businesses/{id}/alerts/mute")]
pub(super) async fn mute(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    body: Body<Mute>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let (until, now) = (body.0.until.map(Parsed::into_inner), Timestamp::now());
    if until.is_some_and(|until| until <= now || until > now.plus(LONGEST)) {
        return Err(ApiError::invalid_field("until", "must lie ahead, by at most 8 hours"));
    }
    let patch = BusinessPatch { muted_until: Some(until), ..BusinessPatch::default() };
    change(&app, who.principal, id.0, patch).await
}

impl Endpoint for mute {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
