//! Who works for a business (requirement 2.1): owners decide, staff may look.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::access::{MemberRole, Principal};
use crate::domain::business::{INVITATION_LIFE, MAX_MEMBERS};
use crate::domain::email::EmailAddress;
use crate::domain::ids::{BusinessId, InvitationId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::Member;
use crate::storage::commands::{Invitee, MemberRefusal, NewInvitation, Removal};

use super::identity::{Merchants, SignedIn};
use super::input::{Body, Parsed, PathId, path_text, schema_of};
use super::making::{Beginning, Made, MadeAnswer};
use super::problem::ApiError;
use super::state::Api;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list).service(put).service(remove);
}

/// Somebody who works for the business.
#[derive(Serialize, ToSchema)]
pub struct MemberView {
    /// `usr_…`
    #[schema(example = "usr_0190f3c1a2b37d4e8f00112233445566")]
    user_id: String,
    /// Their address.
    #[schema(example = "zoe@example.com")]
    email: String,
    /// What others call them.
    name: Option<String>,
    /// `owner` or `staff`.
    #[schema(example = "staff")]
    role: &'static str,
}

impl MemberView {
    fn of(member: Member) -> Self {
        Self {
            user_id: member.user.to_string(),
            email: member.email,
            name: member.name,
            role: member.role.as_str(),
        }
    }
}

/// Everybody who works for the business.
#[derive(Serialize, ToSchema)]
pub struct MembersView {
    /// Owners first.
    items: Vec<MemberView>,
}

/// List the members of a business you are a member of.
#[utoipa::path(operation_id = "listMembers", tag = "businesses", security(("bearer" = [])),
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "Owners first", body = MembersView)))]
#[get("/businesses/{id}/members")]
async fn list(
    api: web::Data<Api>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    api.membership(who.principal, id.0).await?;
    let items = api.store.members(id.0).await?.into_iter().map(MemberView::of).collect();
    Ok(HttpResponse::Ok().json(MembersView { items }))
}

/// Somebody to invite, or a member whose role changes, by exactly one of `email` and `user_id`.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "zoe@example.com", "role": "staff"}))]
pub struct NewMember {
    /// The address of a merchant's account.
    #[garde(dive)]
    #[schema(value_type = Option<String>, format = "email", max_length = 254, example = "zoe@example.com")]
    email: Option<Parsed<EmailAddress>>,
    /// The id of a merchant's account.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<UserId>)]
    user_id: Option<Parsed<UserId>>,
    /// `staff` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<MemberRole>)]
    role: Option<Parsed<MemberRole>>,
}

/// An invitation is on its way, if there is such an account.
#[derive(Serialize, ToSchema)]
pub struct InvitedView {
    /// `invited`
    #[schema(example = "invited")]
    status: &'static str,
    /// `owner` or `staff`.
    #[schema(example = "staff")]
    role: &'static str,
    /// How long it can be answered; RFC 3339.
    expires_at: String,
}

/// Invite somebody, or change what a member may do. For owners. Whoever is invited becomes a member by accepting; the answer is the
/// same whether or not there is such an account.
///
/// With an idempotency key an invitation may be repeated for 24 hours and is made once.
#[utoipa::path(operation_id = "putMember", tag = "businesses", security(("bearer" = [])), request_body = NewMember,
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "The member in the new role", body = MemberView),
        (status = 202, description = "Invited", body = InvitedView),
        (status = 409, description = "`last_owner`: the business would have no owner; `limit_reached`: it has as many members as it may"),
    ))]
#[post("/businesses/{id}/members")]
async fn put(
    api: web::Data<Api>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<NewMember>,
) -> Result<HttpResponse, ApiError> {
    api.owner(who.principal, id.0).await?;
    let route = format!("POST /businesses/{}/members", id.0);
    let making = match api.begin_making(who.principal, &request, &route, &body.0).await? {
        Beginning::First(making) => making,
        Beginning::Repeated(answer) => return Ok(answer.repeat(None)),
    };
    let NewMember { email, user_id, role } = body.0;
    let invitee = match (email, user_id) {
        (Some(email), None) => Invitee::Email(email.into_inner().into_string()),
        (None, Some(user)) => Invitee::User(user.into_inner()),
        _ => return Err(ApiError::invalid_field("email", "give either email or user_id")),
    };
    let role = role.map_or(MemberRole::Staff, Parsed::into_inner);
    let members = api.store.members(id.0).await?;
    let is_invitee = |member: &Member| match &invitee {
        Invitee::Email(email) => member.email == *email,
        Invitee::User(user) => member.user == *user,
    };
    let full = members.len() >= MAX_MEMBERS as usize;
    if let Some(member) = members.into_iter().find(is_invitee) {
        return match api.persistence.put_member(id.0, member.user, role).await? {
            Ok(()) => Ok(HttpResponse::Ok().json(MemberView::of(Member { role, ..member }))),
            Err(MemberRefusal::LastOwner) => Err(last_owner()),
            Err(MemberRefusal::Full) => Err(self::full()),
            Err(MemberRefusal::NoSuchUser) => Err(ApiError::not_found()),
        };
    }
    if full {
        return Err(self::full());
    }
    let expires_at = Timestamp::now().plus(INVITATION_LIFE);
    let invitation = NewInvitation {
        id: InvitationId::generate(),
        business: id.0,
        invitee,
        role,
        invited_by: who.principal.user,
        expires_at,
    };
    let view = InvitedView { status: "invited", role: role.as_str(), expires_at: expires_at.to_rfc3339() };
    let answer = MadeAnswer::new(StatusCode::ACCEPTED, &view);
    Ok(match api.make(making, Box::new(invitation), answer).await? {
        Made::Now((), answer) => answer.respond(None),
        Made::Before(answer) => answer.repeat(None),
    })
}

/// End somebody's membership. For owners, and for members who leave.
#[utoipa::path(operation_id = "removeMember", tag = "businesses", security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("user" = String, Path, description = "`usr_…`"),
    ),
    responses(
        (status = 204, description = "Not a member any more; their sockets of the business are closed"),
        (status = 409, description = "`last_owner`: the business would have no owner"),
    ))]
#[delete("/businesses/{id}/members/{user}")]
async fn remove(
    api: web::Data<Api>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let user: UserId = path_text(&request, "user")?.parse().map_err(|_| ApiError::not_found())?;
    if user == who.principal.user {
        api.membership(who.principal, id.0).await?;
    } else {
        api.owner(who.principal, id.0).await?;
    }
    match api.persistence.remove_member(id.0, user).await? {
        Removal::Removed => Ok(HttpResponse::NoContent().finish()),
        Removal::NotThere => Err(ApiError::not_found()),
        Removal::LastOwner => Err(last_owner()),
    }
}

/// 409: no further member fits.
pub(super) fn full() -> ApiError {
    ApiError::new(
        ProblemCode::LimitReached,
        format!("The business has {MAX_MEMBERS} members, as many as it may: end a membership first."),
    )
}

fn last_owner() -> ApiError {
    ApiError::new(ProblemCode::LastOwner, "Make somebody else an owner first.")
}

impl Api {
    /// Lets owners and operators through: 403 for staff, 404 for everybody else.
    pub(super) async fn owner(&self, principal: Principal, business: BusinessId) -> Result<(), ApiError> {
        match self.membership(principal, business).await? {
            MemberRole::Owner => Ok(()),
            MemberRole::Staff => {
                Err(ApiError::new(ProblemCode::Forbidden, "This is for owners of the business."))
            }
        }
    }
}
