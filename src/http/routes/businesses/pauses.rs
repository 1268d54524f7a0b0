//! Ending a pause of a business by hand.

use actix_web::{HttpRequest, HttpResponse, delete, web};

use crate::domain::business::PauseCause;
use crate::domain::ids::BusinessId;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::{PathId, path_text};
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::BusinessPatch;

use super::update::{change, hand_of};
use super::view::BusinessView;

/// End the pause of one cause, and no other, of a business you are a member of.
///
/// Members end `manual`, `unreachable` and `unanswered`, operators also `operator`. Repeated, it changes nothing.
#[utoipa::path(operation_id = "endPause", tag = "businesses",
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("cause" = String, Path, description = "`manual`, `unreachable`, `unanswered` or `operator`"),
    ),
    responses(
        (status = 200, description = "The business as it is now", body = BusinessView),
        (status = 403, description = "`forbidden`: an operator has paused it"),
    ))]
#[delete("/businesses/{id}/pauses/{cause}")]
pub(super) async fn end(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let cause: PauseCause = path_text(&request, "cause")?.parse().map_err(|_| ApiError::not_found())?;
    if !hand_of(who.principal).ends(cause) {
        return Err(ApiError::new(
            ProblemCode::Forbidden,
            "An operator has paused it, and operators end that.",
        ));
    }
    let patch = BusinessPatch { ended_pause: Some(cause), ..BusinessPatch::default() };
    change(&app, who.principal, id.0, patch).await
}

impl Endpoint for end {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
