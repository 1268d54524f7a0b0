//! Refunds that need an operator.

use actix_web::{HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::access::Principal;
use crate::domain::ids::RefundId;
use crate::domain::payment::RefundState;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Body, ByHand, Parsed, Query, rules, schema_of};
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::http::routes::orders::refunds::judged;
use crate::protocol::money_views::RefundView;
use crate::storage::ListedRefund;
use crate::storage::commands::{HandleRefund, RefundWish};

/// The refunds that the list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RefundFilter {
    /// `due`, `sent`, `succeeded`, `failed` or `unknown`; all that have not succeeded unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<RefundState>)]
    state: Option<Parsed<RefundState>>,
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<RefundId>)]
    cursor: Option<Parsed<RefundId>>,
}

/// A refund in the list of operators.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedRefundView {
    #[serde(flatten)]
    refund: RefundView,
    /// `biz_…`
    business_id: String,
    /// How it was paid: `online`, `terminal`, `transfer` or `cash`.
    #[schema(example = "online")]
    paid_by: &'static str,
}

/// A page of refunds.
#[derive(Serialize, ToSchema)]
pub(super) struct RefundsView {
    /// Newest first.
    items: Vec<ListedRefundView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_cursor: Option<String>,
}

impl ListedRefundView {
    fn of(listed: &ListedRefund) -> Self {
        Self {
            refund: RefundView::new(&listed.refund, listed.currency),
            business_id: listed.business.to_string(),
            paid_by: listed.paid_by.as_str(),
        }
    }
}

/// List refunds, newest first.
#[utoipa::path(operation_id = "listRefunds", tag = "operations", params(RefundFilter), responses(
    (status = 200, description = "A page", body = RefundsView),
))]
#[get("/admin/refunds")]
pub(super) async fn list(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    query: Query<RefundFilter>,
) -> Result<HttpResponse, ApiError> {
    let RefundFilter { state, limit, cursor } = query.0;
    let limit = limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let (state, after) = (state.map(Parsed::into_inner), cursor.map(Parsed::into_inner));
    let mut found = app.store.refunds(state, after, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| last.refund.id.to_string());
    let items = found.iter().map(ListedRefundView::of).collect();
    Ok(HttpResponse::Ok().json(RefundsView { items, limit, has_more, next_cursor }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Let a refund that failed be sent again, or one without an answer be asked about at once. The provider is asked first whether it has it; `GET
/// /admin/refunds` shows what came of it.
#[utoipa::path(operation_id = "retryRefund", tag = "operations",
    params(("id" = String, Path, description = "`ref_…`")),
    responses(
        (status = 200, description = "It is due", body = ListedRefundView),
        (status = 409, description = "`refund_not_now`: it has succeeded, or somebody has to give it by hand"),
    ))]
#[post("/admin/refunds/{id}/retry")]
pub(super) async fn retry(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<RefundId>,
) -> Result<HttpResponse, ApiError> {
    handle(&app, who.principal, id.0, RefundWish::Retry).await
}

impl Endpoint for retry {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// How a refund was given back by hand.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "transfer", "reference": "SEPA 2026-01-31 / 17"}))]
pub(super) struct Settlement {
    /// `terminal`, `transfer` or `cash`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<ByHand>)]
    method: Parsed<ByHand>,
    /// The number on the receipt, to find it again.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "SEPA 2026-01-31 / 17")]
    reference: String,
}

/// Record that somebody gave a refund back by hand: one that failed, or that was not sent yet. Repeated, it is 409.
#[utoipa::path(operation_id = "settleRefund", tag = "operations", request_body = Settlement,
    params(("id" = String, Path, description = "`ref_…`")),
    responses(
        (status = 200, description = "It has succeeded", body = ListedRefundView),
        (status = 409, description = "`refund_not_now`: it has succeeded, or may be on its way at the provider"),
    ))]
#[post("/admin/refunds/{id}/settle")]
pub(super) async fn settle(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<RefundId>,
    body: Body<Settlement>,
) -> Result<HttpResponse, ApiError> {
    let Settlement { method, reference } = body.0;
    let wish = RefundWish::Settle { way: method.into_inner().0, reference: Some(reference) };
    handle(&app, who.principal, id.0, wish).await
}

impl Endpoint for settle {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

async fn handle(
    app: &AppState,
    who: Principal,
    refund: RefundId,
    wish: RefundWish,
) -> Result<HttpResponse, ApiError> {
    let known = app.store.refund(refund).await?.ok_or_else(ApiError::not_found)?;
    let (order, business, user) = (known.refund.order, known.business, who.user);
    let write = HandleRefund { refund, order, business, wish, user };
    let refund = judged(app.persistence.write(Box::new(write)).await?)?;
    let now = app.store.refund(refund).await?.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(ListedRefundView::of(&now)))
}
