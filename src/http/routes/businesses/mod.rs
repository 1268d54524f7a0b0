//! Businesses and their figures.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

mod dto;
mod mute;
mod pauses;
mod place;
mod state;
mod stats;
mod terms;
mod update;
mod view;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::access::Role;
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::storage::commands::CreateBusiness;

use crate::http::app_state::AppState;
use crate::http::extractors::audience::{Anyone, Merchants};
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, Parsed, Query, schema_of};
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};
use dto::NewBusiness;
pub(in crate::http::routes) use update::change;
pub(in crate::http) use view::{BusinessView, BusinessViewer};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(create)
        .endpoint(list)
        .endpoint(read)
        .endpoint(stats::stats)
        .endpoint(update::update)
        .endpoint(pauses::end)
        .endpoint(mute::mute);
}

/// Make a business.
///
/// With an idempotency key the request may be repeated for 24 hours and happens once.
#[utoipa::path(operation_id = "createBusiness", tag = "businesses", request_body = NewBusiness,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses(
        (status = 201, description = "The business; you are its owner", body = BusinessView, headers(
            ("Location" = String, description = "Its address"),
            ("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"),
        )),
        (status = 409, description = "`request_in_flight`"),
    ))]
#[post("/businesses")]
async fn create(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    request: HttpRequest,
    body: Body<NewBusiness>,
) -> Result<HttpResponse, ApiError> {
    let address = |answer: &PreparedResponse| answer.id().map(|id| format!("/api/v1/businesses/{id}"));
    let keyed = match check_key(&app, who.principal, &request, "POST /businesses", &body.0).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => {
            let address = address(&answer);
            return Ok(answer.repeat(address));
        }
    };
    let (id, now) = (BusinessId::generate(), Timestamp::now());
    let business = body.0.into_business(id, now)?;
    let view = BusinessView::new(&business, BusinessViewer::Member, now);
    let answer = PreparedResponse::new(StatusCode::CREATED, &view);
    let write = CreateBusiness { business: Box::new(business), owner: who.principal.user };
    Ok(match execute(&app, keyed, write, answer).await? {
        Executed::Now((), answer) => {
            let address = address(&answer);
            answer.respond(address)
        }
        Executed::Before(answer) => {
            let address = address(&answer);
            answer.repeat(address)
        }
    })
}

impl Endpoint for create {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// The businesses that a list shows.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BusinessFilter {
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<BusinessId>)]
    cursor: Option<Parsed<BusinessId>>,
}

/// A page of businesses, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessesView {
    /// Oldest first.
    items: Vec<BusinessView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_cursor: Option<String>,
}

/// List businesses: merchants see those they are a member of, others all.
#[utoipa::path(operation_id = "listBusinesses", tag = "businesses", params(BusinessFilter), responses(
    (status = 200, description = "A page", body = BusinessesView),
))]
#[get("/businesses")]
async fn list(
    app: web::Data<AppState>,
    who: SignedIn,
    query: Query<BusinessFilter>,
) -> Result<HttpResponse, ApiError> {
    let limit = query.0.limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let after = query.0.cursor.map(Parsed::into_inner);
    let mut businesses = match who.principal.role {
        Role::Merchant => app.store.businesses_of(who.principal.user, after, limit + 1).await?,
        Role::Customer | Role::Driver | Role::Admin => app.store.businesses(after, limit + 1).await?,
    };
    let has_more = businesses.len() > limit as usize;
    businesses.truncate(limit as usize);
    let next_cursor = businesses.last().filter(|_| has_more).map(|last| last.id.to_string());
    let now = Timestamp::now();
    let viewer = match who.principal.role {
        Role::Merchant | Role::Admin => BusinessViewer::Member,
        Role::Customer | Role::Driver => BusinessViewer::Public,
    };
    let items = businesses.iter().map(|business| BusinessView::new(business, viewer, now)).collect();
    Ok(HttpResponse::Ok().json(BusinessesView { items, limit, has_more, next_cursor }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// Read a business. Its contact is for members and operators.
#[utoipa::path(operation_id = "readBusiness", tag = "businesses",
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "The business", body = BusinessView,
        headers(("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`")))))]
#[get("/businesses/{id}")]
async fn read(
    app: web::Data<AppState>,
    who: SignedIn,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    let mut freshness = CacheStatus::new();
    let business = freshness.take(app.reads.business(id.0).await?.ok_or_else(ApiError::not_found)?);
    let viewer = match who.principal.role {
        Role::Admin => BusinessViewer::Member,
        Role::Merchant => match app.reads.membership(id.0, who.principal.user).await? {
            Some(membership) => {
                freshness.take(membership);
                BusinessViewer::Member
            }
            None => BusinessViewer::Public,
        },
        Role::Customer | Role::Driver => BusinessViewer::Public,
    };
    let mut response = HttpResponse::Ok().json(BusinessView::new(&business, viewer, Timestamp::now()));
    freshness.mark(&mut response);
    Ok(response)
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}
