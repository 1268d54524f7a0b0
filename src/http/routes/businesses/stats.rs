//! The figures of a business for today.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// The figures of a business for today, in its own time zone, and the orders that wait there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatsView {
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
    /// Seconds within which half of today's answers came; `null` before the first. What members placed and what the hub
    /// accepted by itself has no answer.
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
pub(super) async fn stats(
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
