//! One's own account.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, get, patch, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::UserId;
use crate::domain::private::Private;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, null_is_a_value, rules};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::storage::commands::UserChange;

use super::signup::UserView;

/// An account as only its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnAccountView {
    #[serde(flatten)]
    account: UserView,
    /// The number that is called about orders that nobody answers; see `alert_me` of a member.
    #[schema(example = "+351 21 000 00 00")]
    phone: Option<String>,
}

/// Read your account.
#[utoipa::path(operation_id = "readOwnAccount", tag = "accounts", responses(
    (status = 200, description = "As only you see it", body = OwnAccountView),
))]
#[get("/auth/me")]
pub(super) async fn read(app: web::Data<AppState>, who: SignedIn) -> Result<HttpResponse, ApiError> {
    shown(&app, who.principal.user).await
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// Changes to one's own account; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+351 21 000 00 00"}))]
pub(super) struct AccountChanges {
    /// A number to call, as people write it; `null` takes it away.
    #[garde(inner(inner(custom(|phone: &Private<String>, &()| rules::phone(&phone.0, &())))))]
    #[serde(default, deserialize_with = "null_is_a_value")]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    phone: Option<Option<Private<String>>>,
}

/// Change your account.
///
/// Nobody else is shown the phone number.
#[utoipa::path(operation_id = "changeOwnAccount", tag = "accounts", request_body = AccountChanges, responses(
    (status = 200, description = "As it is now", body = OwnAccountView),
))]
#[patch("/auth/me")]
pub(super) async fn change(
    app: web::Data<AppState>,
    who: SignedIn,
    body: Body<AccountChanges>,
) -> Result<HttpResponse, ApiError> {
    let user = who.principal.user;
    if let Some(phone) = body.0.phone {
        let phone = phone.map(|phone| rules::checked_phone(&phone.0));
        match app.persistence.set_phone(user, phone).await? {
            UserChange::Made => {}
            UserChange::NotThere => return Err(ApiError::not_found()),
        }
    }
    shown(&app, user).await
}

impl Endpoint for change {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>().body_limit(4 * KIB);
}

async fn shown(app: &AppState, user: UserId) -> Result<HttpResponse, ApiError> {
    let account = app.store.user(user).await?.ok_or_else(ApiError::not_found)?;
    let view = OwnAccountView { account: account.into(), phone: app.store.user_phone(user).await? };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(view))
}
