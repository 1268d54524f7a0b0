//! Recording what was paid otherwise than through the payment provider.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::payment::{RecordRefusal, Recorded};
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, ByHand, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::money_views::RecordedPaymentView;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{RecordOutcome, RecordPayment};

use super::access::order_for;

/// A payment that a person took.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "terminal", "reference": "0042-17"}))]
pub(super) struct PaymentRecord {
    /// `terminal`, `transfer` or `cash`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<ByHand>)]
    method: Parsed<ByHand>,
    /// The number on the receipt, to find it again.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "0042-17")]
    reference: Option<String>,
}

/// Record that an order was paid by terminal, by transfer or in cash.
///
/// For members and operators. All of it counts as paid; an order that waits for its payment is placed. The hub gives such money never back by
/// itself: an order that owes it is `refund_due` until somebody has.
#[utoipa::path(operation_id = "recordPayment", tag = "payments", request_body = PaymentRecord,
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "It is recorded", body = RecordedPaymentView,
         headers(("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"))),
        (status = 409, description = "`already_paid`; `not_payable`: it has ended and owes nothing; `limit_reached`; or `request_in_flight`"),
    ))]
#[post("/orders/{id}/payments")]
pub(super) async fn record(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<OrderId>,
    request: HttpRequest,
    body: Body<PaymentRecord>,
) -> Result<HttpResponse, ApiError> {
    let (order, _) = order_for(&app, who.principal, id.0).await?;
    let route = format!("POST /orders/{}/payments", id.0);
    let keyed = match check_key(&app, who.principal, &request, &route, &body.0).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => return Ok(answer.repeat(None)),
    };
    let PaymentRecord { method, reference } = body.0;
    let ByHand(way) = method.into_inner();
    let payment = PaymentId::generate();
    let view = RecordedPaymentView::new(
        payment,
        order.id,
        (order.total_minor, order.currency),
        (way, reference.clone()),
    );
    let recorded = Recorded { id: payment, way, reference, user: who.principal.user };
    let write = Box::new(RecordPayment { order: order.id, business: order.business_id, recorded });
    let answer = PreparedResponse::new(StatusCode::CREATED, &view);
    match execute(&app, keyed, write, answer).await? {
        Executed::Now(RecordOutcome::Recorded(_), answer) => Ok(answer.respond(None)),
        Executed::Now(RecordOutcome::Refused(refusal), _) => Err(refused(refusal)),
        Executed::Now(RecordOutcome::NoSuchOrder, _) => Err(ApiError::not_found()),
        Executed::Before(answer) => Ok(answer.repeat(None)),
    }
}

impl Endpoint for record {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().rate(Rate::Move);
}

fn refused(refusal: RecordRefusal) -> ApiError {
    let (code, detail) = match refusal {
        RecordRefusal::Paid => (ProblemCode::AlreadyPaid, "Read the order to see how it is paid."),
        RecordRefusal::Ended => (ProblemCode::NotPayable, "It has ended without owing anything."),
        RecordRefusal::TooMany => (ProblemCode::LimitReached, "As many payments of it are there as may be."),
    };
    ApiError::new(code, detail)
}
