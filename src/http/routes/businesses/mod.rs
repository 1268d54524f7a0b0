//! Businesses and their figures.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

mod dto;
mod mute;
mod pauses;
mod place;
mod state;
mod terms;
mod view;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::access::{Principal, Role};
use crate::domain::business::Hand;
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{BusinessPatch, BusinessUpdate, CreateBusiness, UpdateBusiness};

use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::{Anyone, Merchants};
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, Parsed, Query, schema_of};
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};
use dto::{BusinessChanges, NewBusiness};
pub(in crate::http) use view::{BusinessView, BusinessViewer};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(create)
        .endpoint(list)
        .endpoint(read)
        .endpoint(stats)
        .endpoint(update)
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

/// The figures of a business for today, in its own time zone, and the orders that wait there.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsView {
    /// Orders placed today; those whose payment is still awaited do not count.
    #[schema(example = 41)]
    today_orders: u64,
    /// Total of those of them that were not rejected, cancelled or failed, in minor units.
    #[schema(example = 61250)]
    today_revenue_minor: i64,
    /// The currency of the revenue, ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Orders that wait for an answer.
    #[schema(example = 2)]
    pending_orders: u64,
    /// Seconds within which half of today's answers came; `null` before the first.
    #[schema(example = 35)]
    answer_p50_s: Option<u32>,
    /// Seconds within which nine of ten of today's answers came; `null` before the first.
    #[schema(example = 190)]
    answer_p90_s: Option<u32>,
    /// Orders of today that nobody answered in time.
    #[schema(example = 0)]
    unanswered_today: u64,
    /// The time of counting; RFC 3339.
    updated_at: String,
}

/// Read today's figures of a business you are a member of.
#[utoipa::path(operation_id = "readBusinessStats", tag = "businesses",
    params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "Never older than five minutes, nor than the last order", body = StatsView,
        headers(("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`")))))]
#[get("/businesses/{id}/stats")]
async fn stats(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
) -> Result<HttpResponse, ApiError> {
    let mut freshness = CacheStatus::new();
    freshness.take(authorization::cached_membership(&app, who.principal, id.0).await?);
    let business = freshness.take(app.reads.business(id.0).await?.ok_or_else(ApiError::not_found)?);
    let stats = app.reads.stats(id.0, business.timezone.day_began(Timestamp::now())).await?;
    let stats = freshness.take(stats);
    let mut response = HttpResponse::Ok().json(StatsView {
        today_orders: stats.orders,
        today_revenue_minor: stats.revenue_minor,
        currency: business.currency.to_string(),
        pending_orders: stats.pending,
        answer_p50_s: stats.answers.p50_s,
        answer_p90_s: stats.answers.p90_s,
        unanswered_today: stats.answers.unanswered,
        updated_at: stats.at.to_rfc3339(),
    });
    freshness.mark(&mut response);
    Ok(response)
}

impl Endpoint for stats {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// Change a business you are a member of. Members say whether it takes orders (`state`, `extra_minutes`, `paused_until`); everything
/// else is for owners. `paused` begins a pause beside the state, and another state ends the pauses of the same hand.
#[utoipa::path(operation_id = "changeBusiness", tag = "businesses", request_body = BusinessChanges,
    params(("id" = String, Path, description = "`biz_…`")),
    responses(
        (status = 200, description = "The business as it is now", body = BusinessView),
        (status = 403, description = "`forbidden`: this is for owners"),
        (status = 409, description = "`currency_in_use`: there are prices or orders in the present currency"),
    ))]
#[patch("/businesses/{id}")]
async fn update(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    body: Body<BusinessChanges>,
) -> Result<HttpResponse, ApiError> {
    if body.0.is_of_state_only() {
        authorization::membership(&app, who.principal, id.0).await?;
    } else {
        authorization::require_owner(&app, who.principal, id.0).await?;
    }
    let patch = body.0.into_patch(hand_of(who.principal), Timestamp::now())?;
    change(&app, who.principal, id.0, patch).await
}

/// Changes a business and answers with it.
async fn change(
    app: &AppState,
    who: Principal,
    business: BusinessId,
    patch: BusinessPatch,
) -> Result<HttpResponse, ApiError> {
    let write = UpdateBusiness { business, user: who.user, hand: hand_of(who), patch: Box::new(patch) };
    match app.persistence.write(write).await? {
        BusinessUpdate::Updated(business) => {
            Ok(HttpResponse::Ok().json(BusinessView::new(&business, BusinessViewer::Member, Timestamp::now())))
        }
        BusinessUpdate::NotThere => Err(ApiError::not_found()),
        BusinessUpdate::CurrencyInUse => Err(ApiError::new(
            ProblemCode::CurrencyInUse,
            "There are prices or orders in its present currency. Take every item off the menu to change it; a business that \
             had orders keeps its currency: make another business.",
        )),
    }
}

/// The capacity in which somebody who may change a business does so.
fn hand_of(who: Principal) -> Hand {
    if who.role == Role::Admin { Hand::Operator } else { Hand::Member }
}

impl Endpoint for update {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
