//! Lists of orders.

use std::sync::Arc;

use actix_web::{HttpResponse, get, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::access::{Principal, Role};
use crate::domain::authorization::{ListedOrders, listed_orders};
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::order::{Party, Status};
use crate::domain::time::Timestamp;
use crate::protocol::views::OrderView;
use crate::storage::{NextPage, OrderPage, OrderQuery, OrderScope, PageStart, Total, search_words};

use super::access::view_for;
use super::carried::{self, CarriedQuery};
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Parsed, Query, rules, schema_of};
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::pagination::{OrderCursor, Page, PageSize};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};

/// Words of a search that are looked at; nobody types more to find an order.
const MAX_WORDS: usize = 8;

/// The orders that a list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OrderFilter {
    /// Only in this status.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Status>)]
    status: Option<Parsed<Status>>,
    /// Words an order has at the beginning of its number (with or without leading zeros), of a sku or of a word of its
    /// customer's name, whatever the case and the accents. Letters and digits are searched; where there are none, nothing is
    /// found.
    #[garde(inner(custom(rules::search::<100>)))]
    #[param(min_length = 1, max_length = 100, example = "zoë")]
    q: Option<String>,
    /// Only of this business.
    #[garde(dive)]
    #[param(schema_with = schema_of::<BusinessId>)]
    business_id: Option<Parsed<BusinessId>>,
    /// The number of the page, from 1, as far as the 10,000th order; not together with `cursor`, which goes on from there.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Page>)]
    page: Option<Parsed<Page>>,
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before; then nothing is counted.
    #[garde(dive)]
    #[param(schema_with = schema_of::<OrderCursor>)]
    cursor: Option<Parsed<OrderCursor>>,
}

/// A page of orders.
#[derive(Serialize, ToSchema)]
pub(super) struct OrdersView {
    /// Newest first.
    items: Vec<OrderView>,
    /// The number of orders in all, 10,000 at most; `null` with `cursor`.
    #[schema(example = 41)]
    total: Option<u64>,
    /// Present and true where there are more than `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_capped: Option<bool>,
    /// The number of the page; `null` with `cursor`.
    #[schema(example = 1)]
    page: Option<u32>,
    /// The most entries of the page.
    #[schema(example = 20)]
    limit: u32,
    /// The number of pages; `null` with `cursor`, and where there are more orders than are counted.
    #[schema(example = 3)]
    pages: Option<u64>,
    /// Whether more follow.
    has_more: bool,
    /// For the next page, without counting.
    next_cursor: Option<String>,
}

/// List orders, newest first: customers see their own, merchants those of their businesses, drivers those they carry, operators all.
#[utoipa::path(operation_id = "listOrders", tag = "orders", params(OrderFilter), responses(
    (status = 200, description = "A page. Lists of `placed` orders are never copies", body = OrdersView,
     headers(("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`"))),
    (status = 404, description = "`not_found`: there is no such business for you"),
))]
#[get("/orders")]
pub(super) async fn list(
    app: web::Data<AppState>,
    who: SignedIn,
    query: Query<OrderFilter>,
) -> Result<HttpResponse, ApiError> {
    let filter = query.0;
    if filter.cursor.is_some() && filter.page.is_some() {
        return Err(ApiError::invalid_field("cursor", "does not go together with page"));
    }
    let business = filter.business_id.map(Parsed::into_inner);
    let status = filter.status.map(Parsed::into_inner);
    let mut freshness = CacheStatus::new();
    check_membership(&app, who.principal, business, status, &mut freshness).await?;
    let limit = filter.limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let cursor = filter.cursor.map(Parsed::into_inner);
    let page = filter.page.map_or(Page::FIRST, Parsed::into_inner).get();
    let start = start_of(cursor, page, limit)?;
    let (listed, party) = listed_orders(who.principal.role);
    let words = filter.q.map(|text| search_words(&text, MAX_WORDS));
    let found = if words.as_ref().is_some_and(Vec::is_empty) {
        // The search has no words, which is not the same as no search.
        let total = cursor.is_none().then_some(Total::Exact(0));
        Arc::new(OrderPage { orders: Vec::new(), total, more: NextPage::Absent })
    } else {
        let (words, user) = (words.unwrap_or_default(), who.principal.user);
        match scope_of(listed, user) {
            Some(scope) => {
                let query = OrderQuery { scope, business, status, words, start, limit };
                freshness.take(app.reads.orders(&query).await?)
            }
            None => {
                Arc::new(carried::page(&app, user, &CarriedQuery { business, status, words, start }).await?)
            }
        }
    };
    let page = cursor.is_none().then_some(page);
    let mut response = HttpResponse::Ok().json(OrdersView::of(&found, page, limit, (party, app.reads.now())));
    freshness.mark(&mut response);
    Ok(response)
}

/// Where a page begins.
fn start_of(cursor: Option<OrderCursor>, page: u32, limit: u32) -> Result<PageStart, ApiError> {
    match cursor {
        Some(cursor) => Ok(PageStart::After(cursor.at, cursor.id)),
        None => match u64::from(page - 1) * u64::from(limit) {
            offset if offset > Total::MOST => {
                Err(ApiError::invalid_field("page", "goes as far as the 10000th order; go on with cursor"))
            }
            offset => Ok(PageStart::Offset(offset)),
        },
    }
}

/// Lets merchants list the orders of their own businesses only.
async fn check_membership(
    app: &AppState,
    who: Principal,
    business: Option<BusinessId>,
    status: Option<Status>,
    freshness: &mut CacheStatus,
) -> Result<(), ApiError> {
    match (business, who.role) {
        // A list of placed orders is never a copy, and neither is this.
        (Some(business), Role::Merchant) if status == Some(Status::Placed) => {
            authorization::membership(app, who, business).await?;
        }
        (Some(business), Role::Merchant) => {
            freshness.take(authorization::cached_membership(app, who, business).await?);
        }
        _ => {}
    }
    Ok(())
}

impl OrdersView {
    fn of(found: &OrderPage, page: Option<u32>, limit: u32, (party, now): (Party, Timestamp)) -> Self {
        let OrderPage { orders, total, more } = found;
        let has_more = *more == NextPage::Exists;
        let (total, pages, total_capped) = match *total {
            None => (None, None, None),
            Some(Total::Exact(total)) => (Some(total), Some(total.div_ceil(u64::from(limit))), None),
            Some(Total::Capped) => (Some(Total::MOST), None, Some(true)),
        };
        let last = orders.last().filter(|_| has_more);
        Self {
            next_cursor: last.map(|o| OrderCursor { at: o.created_at, id: o.id }.to_text()),
            items: orders.iter().map(|order| view_for(order, party, now)).collect(),
            total,
            total_capped,
            page,
            limit,
            pages,
            has_more,
        }
    }
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// The part of the stored orders that somebody sees; `None` where they are not read as a list.
fn scope_of(listed: ListedOrders, user: UserId) -> Option<OrderScope> {
    match listed {
        ListedOrders::Placed => Some(OrderScope::Customer(user)),
        ListedOrders::OfTheirBusinesses => Some(OrderScope::Member(user)),
        ListedOrders::All => Some(OrderScope::Everybody),
        ListedOrders::Carried => None,
    }
}
