//! Holds: operators stop new orders, or what the hub does by itself, for a while.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::time::Duration;

use actix_web::{HttpResponse, get, put, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::hold::{HeldAction, HoldScope};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, Parsed, rules, schema_of};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::http::routes::zones::MAX_ZONE;
use crate::storage::StoredHold;
use crate::storage::commands::SetHold;

/// The longest hold: one that is needed for longer is a setting.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// A hold to set or to lift.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"what": "auto_pause", "scope": "all", "until": null, "reason": "The app update is out"}))]
pub(super) struct HoldChange {
    /// `new_orders`, `auto_pause`, `auto_cancel`, `dispatch` or `refunds`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<HeldAction>)]
    what: Parsed<HeldAction>,
    /// `all`, `zone:` with the name of a zone, or the id of a business.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<HoldScope>)]
    scope: Parsed<HoldScope>,
    /// The time at which it ends by itself, at most 30 days ahead; `null` lifts it now.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    until: Option<Parsed<Timestamp>>,
    /// Why, for the audit.
    #[garde(custom(rules::line::<200>))]
    #[schema(min_length = 1, max_length = 200, example = "The app update is out")]
    reason: String,
}

/// A hold.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldView {
    /// What is held.
    #[schema(example = "auto_pause")]
    what: &'static str,
    /// Where.
    #[schema(example = "all")]
    scope: String,
    /// The time at which it ends by itself; RFC 3339.
    until: String,
    /// Why.
    reason: String,
    /// The operator who set it, `usr_…`.
    set_by: String,
    /// RFC 3339.
    set_at: String,
}

/// The holds.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldsView {
    /// Those that have not ended.
    items: Vec<HoldView>,
}

impl HoldView {
    fn of(stored: StoredHold) -> Self {
        let StoredHold { hold, user, created_at } = stored;
        Self {
            what: hold.what.as_str(),
            scope: hold.scope.to_string(),
            until: hold.until.to_rfc3339(),
            reason: hold.reason,
            set_by: user.to_string(),
            set_at: created_at.to_rfc3339(),
        }
    }
}

/// List what is held now.
#[utoipa::path(operation_id = "listHolds", tag = "operations", responses(
    (status = 200, description = "Those that have not ended", body = HoldsView),
))]
#[get("/admin/holds")]
pub(super) async fn list(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(current(&app).await?))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Hold something that the hub does, or lift that. It counts on every node within two seconds, ends by itself, and stands in the
/// audit. A hold of the same action and scope is replaced.
#[utoipa::path(operation_id = "setHold", tag = "operations", request_body = HoldChange, responses(
    (status = 200, description = "The holds as they are now", body = HoldsView),
))]
#[put("/admin/holds")]
pub(super) async fn put(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    body: Body<HoldChange>,
) -> Result<HttpResponse, ApiError> {
    let HoldChange { what, scope, until, reason } = body.0;
    let (scope, until, now) = (scope.into_inner(), until.map(Parsed::into_inner), Timestamp::now());
    if let HoldScope::Zone(name) = &scope {
        text::check_line(name, MAX_ZONE)
            .map_err(|error| ApiError::invalid_field("scope", error.to_string()))?;
    }
    if until.is_some_and(|until| until <= now || until > now.plus(LONGEST)) {
        return Err(ApiError::invalid_field("until", "must lie ahead, by at most 30 days"));
    }
    let user = who.principal.user;
    let hold = SetHold { what: what.into_inner(), scope, until, reason, user };
    tracing::info!(what = %hold.what, scope = %hold.scope, until = ?hold.until, by = %user, "a hold was changed");
    app.persistence.write(hold).await?;
    Ok(HttpResponse::Ok().json(current(&app).await?))
}

impl Endpoint for put {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// The holds of now, which count on this node from here on.
async fn current(app: &AppState) -> Result<HoldsView, ApiError> {
    let holds = app.store.holds(Timestamp::now()).await?;
    app.holds.replace(holds.iter().map(|stored| stored.hold.clone()));
    Ok(HoldsView { items: holds.into_iter().map(HoldView::of).collect() })
}
