//! Businesses as operators list them: with how soon they answer.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::collections::HashMap;
use std::time::Duration;

use actix_web::{HttpResponse, get, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::business::Business;
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{FromText, Parsed, Query, one_of, schema_of};
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::http::routes::businesses::{BusinessView, BusinessViewer};
use crate::storage::AnswerTimes;

/// The time that figures are of: a day, which every business has served its customers in.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Oldest first.
    CreatedAt,
    /// Those that take longest to answer first.
    AnswerP90,
}

impl Sort {
    const ALL: [Self; 2] = [Self::CreatedAt, Self::AnswerP90];

    const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::AnswerP90 => "answer_p90",
        }
    }
}

impl FromText for Sort {
    const EXAMPLE: &'static str = "answer_p90";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, Self::as_str, text)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(Self::ALL.iter().map(|word| word.as_str()).collect())
    }
}

/// The businesses that the list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OperatorsFilter {
    /// `created_at` (oldest first, unless given) or `answer_p90`: those that take longest to answer first, of which there is one page.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Sort>)]
    sort: Option<Parsed<Sort>>,
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before; not together with `answer_p90`.
    #[garde(dive)]
    #[param(schema_with = schema_of::<BusinessId>)]
    cursor: Option<Parsed<BusinessId>>,
}

/// A business with its figures of the last 24 hours.
#[derive(Serialize, ToSchema)]
pub(super) struct ObservedBusinessView {
    #[serde(flatten)]
    business: BusinessView,
    /// Seconds within which half of its orders were answered; `null` where none was.
    #[schema(example = 35)]
    answer_p50_s: Option<u32>,
    /// Seconds within which nine of ten were answered; `null` where none was.
    #[schema(example = 190)]
    answer_p90_s: Option<u32>,
    /// Orders that were answered.
    #[schema(example = 80)]
    answered: u64,
    /// Orders that nobody answered in time.
    #[schema(example = 1)]
    unanswered: u64,
}

/// A page of businesses.
#[derive(Serialize, ToSchema)]
pub(super) struct ObservedBusinessesView {
    /// In the order asked for.
    items: Vec<ObservedBusinessView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_cursor: Option<String>,
}

/// List businesses with how soon they answered their orders in the last 24 hours.
#[utoipa::path(operation_id = "observeBusinesses", tag = "operations", params(OperatorsFilter), responses(
    (status = 200, description = "A page", body = ObservedBusinessesView),
))]
#[get("/admin/businesses")]
pub(super) async fn businesses(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    query: Query<OperatorsFilter>,
) -> Result<HttpResponse, ApiError> {
    let limit = query.0.limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let after = query.0.cursor.map(Parsed::into_inner);
    let now = Timestamp::now();
    let since = now.minus(WINDOW);
    let view = match query.0.sort.map_or(Sort::CreatedAt, Parsed::into_inner) {
        Sort::CreatedAt => by_age(&app, after, limit, since, now).await?,
        Sort::AnswerP90 if after.is_some() => {
            return Err(ApiError::invalid_field("cursor", "does not go together with answer_p90"));
        }
        Sort::AnswerP90 => by_answer(&app, limit, since, now).await?,
    };
    Ok(HttpResponse::Ok().json(view))
}

impl Endpoint for businesses {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

async fn by_age(
    app: &AppState,
    after: Option<BusinessId>,
    limit: u32,
    since: Timestamp,
    now: Timestamp,
) -> Result<ObservedBusinessesView, ApiError> {
    let mut found = app.store.businesses(after, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| last.id.to_string());
    let ids: Vec<BusinessId> = found.iter().map(|business| business.id).collect();
    let figures: HashMap<_, _> = app.store.answer_times(&ids, since).await?.into_iter().collect();
    let figures_of = |business: &Business| figures.get(&business.id).copied().unwrap_or_default();
    let items = found.iter().map(|b| ObservedBusinessView::new(b, figures_of(b), now)).collect();
    Ok(ObservedBusinessesView { items, limit, has_more, next_cursor })
}

async fn by_answer(
    app: &AppState,
    limit: u32,
    since: Timestamp,
    now: Timestamp,
) -> Result<ObservedBusinessesView, ApiError> {
    let mut slowest = app.store.slowest_to_answer(since, limit + 1).await?;
    let has_more = slowest.len() > limit as usize;
    slowest.truncate(limit as usize);
    let ids: Vec<BusinessId> = slowest.iter().map(|(id, _)| *id).collect();
    let found: HashMap<_, _> =
        app.store.businesses_named(&ids).await?.into_iter().map(|business| (business.id, business)).collect();
    let items = slowest.into_iter().filter_map(|(id, times)| {
        let business = found.get(&id)?;
        Some(ObservedBusinessView::new(business, times, now))
    });
    Ok(ObservedBusinessesView { items: items.collect(), limit, has_more, next_cursor: None })
}

impl ObservedBusinessView {
    fn new(business: &Business, times: AnswerTimes, now: Timestamp) -> Self {
        Self {
            business: BusinessView::new(business, BusinessViewer::Member, now),
            answer_p50_s: times.p50_s,
            answer_p90_s: times.p90_s,
            answered: times.answered,
            unanswered: times.unanswered,
        }
    }
}
