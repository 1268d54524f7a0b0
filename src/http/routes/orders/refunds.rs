//! Refunds that people demand, or have given by hand.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::ids::{BusinessId, OrderId, RefundId};
use crate::domain::order::Order;
use crate::domain::payment::{MoneyWay, RefundDemand, RefundRefusal};
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{
    Executed, IdempotentRequest, KeyCheck, PreparedResponse, check_key, execute,
};
use crate::http::input::{Body, ByHand, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::money_views::RefundView;
use crate::protocol::problem::{FieldError, ProblemCode};
use crate::storage::commands::{DemandRefund, HandleRefund, RefundOutcome, RefundWish as RefundSettlement};

use super::access::order_for;

/// A refund that somebody demands, or one that was given by hand.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount_minor": 100, "reason": "The drink was missing"}))]
pub(super) struct RefundWish {
    /// How much, in minor units; everything that is left unless given.
    #[garde(range(min = 1))]
    #[schema(minimum = 1, example = 100)]
    amount_minor: Option<i64>,
    /// Why; required without `method`.
    #[garde(inner(custom(rules::block::<300>)))]
    #[schema(min_length = 1, max_length = 300, example = "The drink was missing")]
    reason: Option<String>,
    /// How it was given back by hand: `terminal`, `transfer` or `cash`. Without it the money goes back as it came.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<ByHand>)]
    method: Option<Parsed<ByHand>>,
    /// With `method`: the number on the receipt.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "0042-18")]
    reference: Option<String>,
}

impl RefundWish {
    /// Checks what depends on whether it was given by hand.
    fn check(&self) -> Result<(), ApiError> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            wrong.push(FieldError { field: field.to_owned(), message: message.to_owned() });
        };
        if self.method.is_none() && self.reason.is_none() {
            refuse("reason", "is required without method");
        }
        if self.method.is_none() && self.reference.is_some() {
            refuse("reference", "goes with method only");
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
    }
}

/// The answer that is kept under an idempotency key: the rest is read when it is given again.
#[derive(Serialize)]
struct Made {
    id: RefundId,
}

/// Give money of an order back, or record that it was given by hand.
///
/// For operators, and for owners of the business where `payments.owner_refunds` says so; in every status, and for 14 days after the end.
/// There may be several, together no more than was paid. One with `method` settles a refund that waits for somebody's hand, where there is
/// one. The answer is the refund as it is now, also when it is given again.
#[utoipa::path(operation_id = "refundOrder", tag = "payments", request_body = RefundWish,
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "It is due, or done where it was given by hand", body = RefundView,
         headers(("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"))),
        (status = 409, description = "`nothing_paid`, `refund_too_large` with `left_minor`, `refund_too_late`, `refund_not_now`, \
            `limit_reached` or `request_in_flight`"),
    ))]
#[post("/orders/{id}/refunds")]
pub(super) async fn give_back(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<OrderId>,
    request: HttpRequest,
    body: Body<RefundWish>,
) -> Result<HttpResponse, ApiError> {
    let (order, _) = order_for(&app, who.principal, id.0).await?;
    check_right(&app, who.principal, order.business_id).await?;
    body.0.check()?;
    let route = format!("POST /orders/{}/refunds", id.0);
    let (made, repeated) = match check_key(&app, who.principal, &request, &route, &body.0).await? {
        KeyCheck::New(keyed) => demand(&app, who.principal, &order, keyed, body.0).await?,
        KeyCheck::Repetition(kept) => (kept.id().and_then(|id| id.parse().ok()), true),
    };
    let made = made.ok_or_else(ApiError::not_found)?;
    let refund = app.store.refund(made).await?.ok_or_else(ApiError::not_found)?;
    let view = RefundView::new(&refund.refund, refund.currency);
    let answer = PreparedResponse::new(StatusCode::CREATED, &view);
    Ok(if repeated { answer.repeat(None) } else { answer.respond(None) })
}

impl Endpoint for give_back {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().rate(Rate::Move);
}

/// Lets operators through, and owners where the settings say so.
async fn check_right(app: &AppState, who: Principal, business: BusinessId) -> Result<(), ApiError> {
    if who.role == Role::Admin {
        return Ok(());
    }
    let role = authorization::membership(app, who, business).await?;
    if role == MemberRole::Owner && app.payments.settings().owner_refunds {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Forbidden, "Ask an operator: they give money back."))
}

/// The refund that the wish came to, and whether it had come to it before.
async fn demand(
    app: &AppState,
    who: Principal,
    order: &Order,
    keyed: IdempotentRequest,
    wish: RefundWish,
) -> Result<(Option<RefundId>, bool), ApiError> {
    let by_hand = wish.method.map(|method| method.into_inner().0);
    let (business, user) = (order.business_id, who.user);
    let kept = |id| PreparedResponse::new(StatusCode::CREATED, &Made { id });
    let done = match (by_hand, waiting(app, order.id, by_hand, wish.amount_minor).await?) {
        // Its id has to be known before, to be kept under the key.
        (Some(way), Some(refund)) => {
            let wish = RefundSettlement::Settle { way, reference: wish.reference };
            let write = HandleRefund { refund, order: order.id, business, wish, user };
            execute(app, keyed, Box::new(write), kept(refund)).await?
        }
        _ => {
            let RefundWish { amount_minor, reason, reference, .. } = wish;
            let id = RefundId::generate();
            let demand = RefundDemand { id, amount_minor, reason, by_hand, reference, user };
            let write = DemandRefund { order: order.id, business, demand };
            execute(app, keyed, Box::new(write), kept(id)).await?
        }
    };
    match done {
        Executed::Now(outcome, _) => Ok((Some(judged(outcome)?), false)),
        Executed::Before(kept) => Ok((kept.id().and_then(|id| id.parse().ok()), true)),
    }
}

/// The refund that waits for the hand by which money was given.
async fn waiting(
    app: &AppState,
    order: OrderId,
    by_hand: Option<MoneyWay>,
    amount_minor: Option<i64>,
) -> Result<Option<RefundId>, ApiError> {
    if by_hand.is_none() {
        return Ok(None);
    }
    let money = app.store.money_of(order).await?;
    let Some(refund) = money.waits_for_a_hand() else { return Ok(None) };
    if amount_minor.is_some_and(|amount| amount != refund.amount_minor) {
        return Err(refused(RefundRefusal::TooMuch { left_minor: refund.amount_minor }));
    }
    Ok(Some(refund.id))
}

/// The refund that was made or changed, or the refusal.
pub(in crate::http::routes) fn judged(outcome: RefundOutcome) -> Result<RefundId, ApiError> {
    outcome.ok_or_else(ApiError::not_found)?.map_err(refused)
}

fn refused(refusal: RefundRefusal) -> ApiError {
    match refusal {
        RefundRefusal::NothingPaid => {
            ApiError::new(ProblemCode::NothingPaid, "Nothing of this order was paid.")
        }
        RefundRefusal::TooMuch { left_minor } => ApiError::new(
            ProblemCode::RefundTooLarge,
            format!("{left_minor} can go back, in minor units; the rest has gone back, or is on its way."),
        )
        .left(left_minor),
        RefundRefusal::TooLate => ApiError::new(
            ProblemCode::RefundTooLate,
            "Money goes back for 14 days after the end of an order.",
        ),
        RefundRefusal::TooMany => {
            ApiError::new(ProblemCode::LimitReached, "The order has as many refunds as it may have.")
        }
        RefundRefusal::NoSuchRefund => ApiError::not_found(),
        RefundRefusal::NotNow { state } => ApiError::new(
            ProblemCode::RefundNotNow,
            format!("It is {state} now; only the provider knows what becomes of one that was sent."),
        ),
    }
}
