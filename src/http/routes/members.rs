//! Members of a business: owners decide, staff may look.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::MemberRole;
use crate::domain::business::{INVITATION_LIFE, MAX_MEMBERS};
use crate::domain::email::EmailAddress;
use crate::domain::ids::{BusinessId, InvitationId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::Member;
use crate::storage::commands::{Invitee, MemberRefusal, NewInvitation, Removal};

use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::{PathId, path_text};
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, Parsed, schema_of};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(list).endpoint(put).endpoint(remove);
}

/// A member of the business.
#[derive(Serialize, ToSchema)]
pub struct MemberView {
    /// `usr_…`
    #[schema(example = "usr_0190f3c1a2b37d4e8f00112233445566")]
    user_id: String,
    /// Their address.
    #[schema(example = "zoe@example.com")]
    email: String,
    /// The name that others see.
    name: Option<String>,
    /// `owner` or `staff`.
    #[schema(example = "staff")]
    role: &'static str,
    /// Whether a call may reach them when the contact of the business does not answer.
    alert_me: bool,
}

impl MemberView {
    pub(super) fn of(member: Member) -> Self {
        Self {
            alert_me: member.is_called(),
            user_id: member.user.to_string(),
            email: member.email,
            name: member.name,
            role: member.role.as_str(),
        }
    }
}

/// The members of the business.
#[derive(Serialize, ToSchema)]
pub struct MembersView {
    /// Owners first.
    items: Vec<MemberView>,
}

/// List the members of a business you are a member of.
#[utoipa::path(operation_id = "listMembers", tag = "businesses",
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "Owners first", body = MembersView)))]
#[get("/businesses/{id}/members")]
async fn list(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let items = app.store.members(id.0).await?.into_iter().map(MemberView::of).collect();
    Ok(HttpResponse::Ok().json(MembersView { items }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
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
    /// The time until which it can be answered; RFC 3339.
    expires_at: String,
}

/// Invite somebody, or change what a member may do. For owners. Whoever is invited becomes a member by accepting; the answer is the
/// same whether or not there is such an account.
///
/// With an idempotency key an invitation may be repeated for 24 hours and is made once.
#[utoipa::path(operation_id = "putMember", tag = "businesses", request_body = NewMember,
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
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<NewMember>,
) -> Result<HttpResponse, ApiError> {
    authorization::require_owner(&app, who.principal, id.0).await?;
    let route = format!("POST /businesses/{}/members", id.0);
    let keyed = match check_key(&app, who.principal, &request, &route, &body.0).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => return Ok(answer.repeat(None)),
    };
    let NewMember { email, user_id, role } = body.0;
    let invitee = invitee_of(email, user_id)?;
    let role = role.map_or(MemberRole::Staff, Parsed::into_inner);
    let members = app.store.members(id.0).await?;
    let is_invitee = |member: &Member| is_member(&invitee, member);
    let is_full = members.len() >= MAX_MEMBERS as usize;
    if let Some(member) = members.into_iter().find(is_invitee) {
        return change_role(&app, id.0, member, role).await;
    }
    if is_full {
        return Err(full());
    }
    let expires_at = Timestamp::now().plus(INVITATION_LIFE);
    let (business, invited_by) = (id.0, who.principal.user);
    let invitation =
        NewInvitation { id: InvitationId::generate(), business, invitee, role, invited_by, expires_at };
    let view = InvitedView { status: "invited", role: role.as_str(), expires_at: expires_at.to_rfc3339() };
    let answer = PreparedResponse::new(StatusCode::ACCEPTED, &view);
    Ok(match execute(&app, keyed, Box::new(invitation), answer).await? {
        Executed::Now((), answer) => answer.respond(None),
        Executed::Before(answer) => answer.repeat(None),
    })
}

impl Endpoint for put {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

fn invitee_of(
    email: Option<Parsed<EmailAddress>>,
    user: Option<Parsed<UserId>>,
) -> Result<Invitee, ApiError> {
    match (email, user) {
        (Some(email), None) => Ok(Invitee::Email(email.into_inner().into_string())),
        (None, Some(user)) => Ok(Invitee::User(user.into_inner())),
        _ => Err(ApiError::invalid_field("email", "give either email or user_id")),
    }
}

fn is_member(invitee: &Invitee, member: &Member) -> bool {
    match invitee {
        Invitee::Email(email) => member.email == *email,
        Invitee::User(user) => member.user == *user,
    }
}

async fn change_role(
    app: &AppState,
    business: BusinessId,
    member: Member,
    role: MemberRole,
) -> Result<HttpResponse, ApiError> {
    match app.persistence.put_member(business, member.user, role).await? {
        Ok(()) => Ok(HttpResponse::Ok().json(MemberView::of(Member { role, ..member }))),
        Err(MemberRefusal::LastOwner) => Err(last_owner()),
        Err(MemberRefusal::Full) => Err(full()),
        Err(MemberRefusal::NoSuchUser) => Err(ApiError::not_found()),
    }
}

/// End somebody's membership. For owners, and for members who leave.
#[utoipa::path(operation_id = "removeMember", tag = "businesses",
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
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let user: UserId = path_text(&request, "user")?.parse().map_err(|_| ApiError::not_found())?;
    if user == who.principal.user {
        authorization::membership(&app, who.principal, id.0).await?;
    } else {
        authorization::require_owner(&app, who.principal, id.0).await?;
    }
    match app.persistence.remove_member(id.0, user).await? {
        Removal::Removed => Ok(HttpResponse::NoContent().finish()),
        Removal::NotThere => Err(ApiError::not_found()),
        Removal::LastOwner => Err(last_owner()),
    }
}

impl Endpoint for remove {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// 409: no further member fits.
pub(in crate::http) fn full() -> ApiError {
    ApiError::new(
        ProblemCode::LimitReached,
        format!("The business has {MAX_MEMBERS} members, as many as it may: end a membership first."),
    )
}

fn last_owner() -> ApiError {
    ApiError::new(ProblemCode::LastOwner, "Make somebody else an owner first.")
}
