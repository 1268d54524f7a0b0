//! Invitations to work for a business: nobody becomes a member without saying yes.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::{HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::InvitationId;
use crate::domain::time::Timestamp;
use crate::storage::Invitation;
use crate::storage::commands::{InvitationAnswer, InvitationOutcome};

use super::members;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(list).endpoint(accept).endpoint(decline);
}

/// The business one is invited to.
#[derive(Serialize, ToSchema)]
pub struct InvitingBusiness {
    /// `biz_…`
    id: String,
    /// The name that customers see.
    #[schema(example = "Casa Pastel")]
    name: String,
}

/// An invitation that waits for an answer.
#[derive(Serialize, ToSchema)]
pub struct InvitationView {
    /// `inv_…`
    #[schema(example = "inv_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// The business that invites.
    business: InvitingBusiness,
    /// `owner` or `staff`.
    #[schema(example = "staff")]
    role: &'static str,
    /// RFC 3339.
    created_at: String,
    /// The moment from which it cannot be answered any more; RFC 3339.
    expires_at: String,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            business: InvitingBusiness {
                id: invitation.business.to_string(),
                name: invitation.business_name,
            },
            role: invitation.role.as_str(),
            created_at: invitation.created_at.to_rfc3339(),
            expires_at: invitation.expires_at.to_rfc3339(),
        }
    }
}

/// One's own invitations.
#[derive(Serialize, ToSchema)]
pub struct InvitationsView {
    /// Newest first, at most 100.
    items: Vec<InvitationView>,
}

/// List the invitations that wait for your answer.
#[utoipa::path(operation_id = "listInvitations", tag = "businesses",
    responses((status = 200, description = "Newest first", body = InvitationsView)))]
#[get("/invitations")]
async fn list(app: web::Data<AppState>, who: SignedIn<Merchants>) -> Result<HttpResponse, ApiError> {
    let invitations = app.store.invitations_of(who.principal.user, Timestamp::now()).await?;
    let items = invitations.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(InvitationsView { items }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// The business one works for from now on.
#[derive(Serialize, ToSchema)]
pub struct JoinedView {
    /// `biz_…`
    business_id: String,
    /// `owner` or `staff`.
    #[schema(example = "staff")]
    role: &'static str,
}

/// Become a member of the business that invited you. Repeated, it changes nothing.
#[utoipa::path(operation_id = "acceptInvitation", tag = "businesses",
    params(("id" = String, Path, description = "`inv_…`")),
    responses(
        (status = 200, description = "You are a member", body = JoinedView),
        (status = 409, description = "`limit_reached`: the business has as many members as it may"),
    ))]
#[post("/invitations/{id}/accept")]
async fn accept(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<InvitationId>,
) -> Result<HttpResponse, ApiError> {
    let user = who.principal.user;
    match app.persistence.answer_invitation(id.0, user, InvitationAnswer::Accept).await? {
        InvitationOutcome::Joined { business, role } => {
            Ok(HttpResponse::Ok().json(JoinedView { business_id: business.to_string(), role: role.as_str() }))
        }
        InvitationOutcome::Full => Err(members::full()),
        InvitationOutcome::Declined | InvitationOutcome::NotThere => Err(ApiError::not_found()),
    }
}

impl Endpoint for accept {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// Say that you do not want to work for the business. Repeated, it changes nothing.
#[utoipa::path(operation_id = "declineInvitation", tag = "businesses",
    params(("id" = String, Path, description = "`inv_…`")),
    responses((status = 204, description = "Declined")))]
#[post("/invitations/{id}/decline")]
async fn decline(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<InvitationId>,
) -> Result<HttpResponse, ApiError> {
    let user = who.principal.user;
    match app.persistence.answer_invitation(id.0, user, InvitationAnswer::Decline).await? {
        InvitationOutcome::Declined => Ok(HttpResponse::NoContent().finish()),
        InvitationOutcome::Joined { .. } | InvitationOutcome::Full | InvitationOutcome::NotThere => {
            Err(ApiError::not_found())
        }
    }
}

impl Endpoint for decline {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
