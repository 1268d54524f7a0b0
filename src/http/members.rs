//! Who works for a business (requirement 2.1): owners decide, staff may look.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::business::MAX_MEMBERS;
use crate::domain::ids::{BusinessId, UserId};
use crate::protocol::problem::ProblemCode;
use crate::storage::command::{MemberRefusal, Removal};

use super::identity::{Merchants, SignedIn};
use super::input::{Body, Parsed, PathId, path_text, rules, schema_of};
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

/// Everybody who works for the business.
#[derive(Serialize, ToSchema)]
pub struct MembersView {
    /// Owners first.
    items: Vec<MemberView>,
}

/// List the members of a business you are a member of.
#[utoipa::path(tag = "businesses", security(("bearer" = [])),
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "Owners first", body = MembersView)))]
#[get("/businesses/{id}/members")]
async fn list(
    api: web::Data<Api>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    api.membership(who.principal, id.0).await?;
    let members = api.store.members(id.0).await?.into_iter().map(|member| MemberView {
        user_id: member.user.to_string(),
        email: member.email,
        name: member.name,
        role: member.role.as_str(),
    });
    Ok(HttpResponse::Ok().json(MembersView { items: members.collect() }))
}

/// Somebody to take in, by exactly one of `email` and `user_id`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The address of a merchant's account.
    #[garde(inner(custom(rules::email)))]
    #[schema(format = "email", max_length = 254, example = "zoe@example.com")]
    email: Option<String>,
    /// The id of a merchant's account.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<UserId>)]
    user_id: Option<Parsed<UserId>>,
    /// `staff` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<MemberRole>)]
    role: Option<Parsed<MemberRole>>,
}

/// Take somebody in, or change what they may do. For owners.
#[utoipa::path(tag = "businesses", security(("bearer" = [])), request_body = NewMember,
    params(("id" = String, Path, description = "`biz_…`")),
    responses(
        (status = 201, description = "The member", body = MemberView),
        (status = 409, description = "`last_owner`: the business would have no owner; `limit_reached`: it has as many members as it may"),
    ))]
#[post("/businesses/{id}/members")]
async fn put(
    api: web::Data<Api>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    body: Body<NewMember>,
) -> Result<HttpResponse, ApiError> {
    api.owner(who.principal, id.0).await?;
    let NewMember { email, user_id, role } = body.0;
    let (field, user) = match (email, user_id) {
        (Some(email), None) => ("email", api.store.user_by_email(&email.to_lowercase()).await?),
        (None, Some(user)) => ("user_id", api.store.user(user.into_inner()).await?),
        _ => return Err(ApiError::invalid_field("email", "give either email or user_id")),
    };
    let user = user
        .filter(|user| user.role == Role::Merchant)
        .ok_or_else(|| ApiError::invalid_field(field, "belongs to no merchant's account"))?;
    let role = role.map_or(MemberRole::Staff, Parsed::into_inner);
    match api.persistence.put_member(id.0, user.id, role).await? {
        Ok(()) => Ok(HttpResponse::build(StatusCode::CREATED).json(MemberView {
            user_id: user.id.to_string(),
            email: user.email,
            name: user.name,
            role: role.as_str(),
        })),
        Err(MemberRefusal::LastOwner) => Err(last_owner()),
        Err(MemberRefusal::Full) => Err(ApiError::new(
            ProblemCode::LimitReached,
            format!("The business has {MAX_MEMBERS} members, as many as it may: end a membership first."),
        )),
        Err(MemberRefusal::NoSuchUser) => {
            Err(ApiError::invalid_field(field, "belongs to no merchant's account"))
        }
    }
}

/// End somebody's membership. For owners, and for members who leave.
#[utoipa::path(tag = "businesses", security(("bearer" = [])),
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

fn last_owner() -> ApiError {
    ApiError::new(ProblemCode::LastOwner, "Make somebody else an owner first.")
}

impl Api {
    /// Lets owners and operators through: 403 for staff, 404 for everybody else.
    async fn owner(&self, principal: Principal, business: BusinessId) -> Result<(), ApiError> {
        match self.membership(principal, business).await? {
            MemberRole::Owner => Ok(()),
            MemberRole::Staff => Err(ApiError::new(ProblemCode::Forbidden, "This is for owners.")),
        }
    }
}
