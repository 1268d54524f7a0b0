//! Beginning to pay an order online.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::Order;
use crate::domain::payment::{InitiateRefusal, NewsStatus, Payment, PaymentNews};
use crate::fail_point;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::CanPlaceOrders;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, Parsed, schema_of};
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::http::routes::orders::access::order_for;
use crate::outbound::{OpenPayment, PaymentProvider, ProviderError};
use crate::protocol::money_views::InitiatedPaymentView;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{ApplyNews, InitiateOutcome, InitiatePayment, NewsSource, PaymentOpened};

/// The order to pay.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"order_id": "ord_0190f3c1a2b37d4e8f00112233445566"}))]
pub(super) struct PaymentWish {
    /// `ord_…`, placed with the payment `online`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<OrderId>)]
    order_id: Parsed<OrderId>,
}

/// The answer that is kept under an idempotency key: the rest is read when it is given again.
#[derive(Serialize)]
struct Begun {
    id: PaymentId,
}

/// Begin to pay an order online.
///
/// For who placed it. Send the customer to `redirect_url`; what came of it is told by `payment_received`, and the order is placed then. A
/// payment that is open is answered again; after one that failed a new one begins. An order that is not paid in time is cancelled.
#[utoipa::path(operation_id = "initiatePayment", tag = "payments", request_body = PaymentWish,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses(
        (status = 201, description = "It was begun", body = InitiatedPaymentView,
         headers(("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"))),
        (status = 200, description = "It was open already", body = InitiatedPaymentView),
        (status = 404, description = "`not_found`: there is no such order of yours"),
        (status = 409, description = "`already_paid`, `not_payable`: it is paid otherwise, or does not wait for a payment any more; \
            `limit_reached`: too many payments of it have failed; or `request_in_flight`"),
        (status = 422, description = "`invalid`, or `payment_unavailable`: this hub has no payment provider, or it refuses this payment"),
        (status = 503, description = "`unavailable`: also when the payment provider does not answer. Nothing was paid; try again"),
    ))]
#[post("/payments/initiate")]
pub(super) async fn initiate(
    app: web::Data<AppState>,
    who: SignedIn<CanPlaceOrders>,
    request: HttpRequest,
    body: Body<PaymentWish>,
) -> Result<HttpResponse, ApiError> {
    let (order, _) = order_for(&app, who.principal, body.0.order_id.clone().into_inner()).await?;
    if order.customer_id != who.principal.user {
        return Err(ApiError::not_found());
    }
    let keyed = match check_key(&app, who.principal, &request, "POST /payments/initiate", &body.0).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(kept) => return again(&app, &order, kept).await,
    };
    let provider = app.payments.provider().ok_or_else(no_provider)?;
    let payment = PaymentId::generate();
    let (business, user) = (order.business_id, who.principal.user);
    let write = InitiatePayment { order: order.id, business, payment, user };
    let kept = PreparedResponse::new(StatusCode::CREATED, &Begun { id: payment });
    let outcome = match execute(&app, keyed, write, kept).await? {
        Executed::Now(outcome, _) => outcome,
        Executed::Before(kept) => return again(&app, &order, kept).await,
    };
    let (payment, is_new, amount_minor, redirect_url) = match outcome {
        InitiateOutcome::Open { payment, is_new, amount_minor, redirect_url } => {
            (payment, is_new, amount_minor, redirect_url)
        }
        InitiateOutcome::Refused(refusal) => return Err(refused(refusal)),
        InitiateOutcome::NoSuchOrder => return Err(ApiError::not_found()),
    };
    let redirect_url = match redirect_url {
        Some(url) => url,
        None => open(&app, provider, &order, payment, amount_minor).await?,
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let wanted = (amount_minor, order.currency);
    let view = InitiatedPaymentView::new(payment, order.id, wanted, Some(redirect_url));
    Ok(HttpResponse::build(status).json(view))
}

impl Endpoint for initiate {
    const FACTS: RouteFacts = RouteFacts::of::<CanPlaceOrders>();
}

/// The refusal where there is no provider.
fn no_provider() -> ApiError {
    ApiError::new(
        ProblemCode::PaymentUnavailable,
        "This hub has no payment provider: order with the payment cash.",
    )
}

/// Answers a request with a key again: with its payment as it is now, which is opened at the provider if nobody came to that.
async fn again(app: &AppState, order: &Order, kept: PreparedResponse) -> Result<HttpResponse, ApiError> {
    let id: Option<PaymentId> = kept.id().and_then(|id| id.parse().ok());
    let money = app.store.money_of(order.id).await?;
    let payment = id.and_then(|id| money.payment(id)).ok_or_else(ApiError::not_found)?;
    let mut view = InitiatedPaymentView::of(payment);
    if view.redirect_url.is_none() && payment.is_open() {
        let provider = app.payments.provider().ok_or_else(no_provider)?;
        let Payment { id, amount_minor, .. } = *payment;
        view.redirect_url = Some(open(app, provider, order, id, amount_minor).await?);
    }
    Ok(PreparedResponse::new(StatusCode::CREATED, &view).repeat(None))
}

/// Opens a payment at the provider and stores where it is paid. Done twice, the provider takes it for the same.
async fn open(
    app: &AppState,
    provider: &dyn PaymentProvider,
    order: &Order,
    payment: PaymentId,
    amount_minor: i64,
) -> Result<String, ApiError> {
    let wish = OpenPayment { payment, order: order.id, amount_minor, currency: order.currency };
    fail_point::reach("payment_initiated");
    match provider.open(&wish).await {
        Ok(opened) => {
            fail_point::reach("provider_opened");
            let write = PaymentOpened {
                payment,
                order: order.id,
                business: order.business_id,
                reference: opened.reference,
                redirect_url: opened.redirect_url,
            };
            let noted = app.persistence.write(Box::new(write)).await?;
            fail_point::reach("payment_opened");
            match noted {
                InitiateOutcome::Open { redirect_url: Some(redirect_url), .. } => Ok(redirect_url),
                InitiateOutcome::Refused(refusal) => Err(refused(refusal)),
                InitiateOutcome::Open { .. } | InitiateOutcome::NoSuchOrder => Err(ApiError::not_found()),
            }
        }
        Err(error) => Err(not_opened(app, order, payment, &error).await?),
    }
}

/// The refusal of a payment that the provider did not open. One that it would not open another time is closed.
async fn not_opened(
    app: &AppState,
    order: &Order,
    payment: PaymentId,
    error: &ProviderError,
) -> Result<ApiError, ApiError> {
    tracing::warn!(%error, %payment, "a payment was not opened");
    match error {
        ProviderError::Unavailable(_) | ProviderError::Unknown(_) => Ok(ApiError::new(
            ProblemCode::Unavailable,
            "The payment provider does not answer. Nothing was paid; try again.",
        )),
        ProviderError::Refused(_) => {
            close(app, order, payment).await?;
            Ok(ApiError::new(
                ProblemCode::PaymentUnavailable,
                "The payment provider refuses this payment. Nothing was paid.",
            ))
        }
    }
}

/// Ends a payment that the provider refuses to open, so that another can begin.
async fn close(app: &AppState, order: &Order, payment: PaymentId) -> Result<(), ApiError> {
    let news = PaymentNews {
        payment,
        order: order.id,
        status: NewsStatus::Failed,
        amount_minor: None,
        currency: None,
        refund: None,
        is_foreign: false,
    };
    let write = ApplyNews {
        source: NewsSource::Asked,
        business: Some(order.business_id),
        order: Some(order.id),
        news: Ok(news),
    };
    app.persistence.write(Box::new(write)).await?;
    Ok(())
}

fn refused(refusal: InitiateRefusal) -> ApiError {
    let (code, detail) = match refusal {
        InitiateRefusal::NotOnline => (ProblemCode::NotPayable, "It is paid at hand-over."),
        InitiateRefusal::Paid => (ProblemCode::AlreadyPaid, "Read the order to see how it is paid."),
        InitiateRefusal::NotWaiting => {
            (ProblemCode::NotPayable, "It waits for no payment any more: read it to see where it stands.")
        }
        InitiateRefusal::TooMany => {
            (ProblemCode::LimitReached, "As many payments of it have failed as may: order again.")
        }
    };
    ApiError::new(code, detail)
}
