//! Placing an order.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Deserialize;

use crate::domain::access::{Principal, Role};
use crate::domain::hold::HeldAction;
use crate::domain::ids::BusinessId;
use crate::domain::order::{Draft, Fulfilment, Order, Party};
use crate::domain::private::Private;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::CanPlaceOrders;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::in_flight::{KeyGuard, WAIT};
use crate::http::idempotency::key::{REPLAYED, key_reused};
use crate::http::idempotency::request::fingerprint;
use crate::http::input::{Body, rules};
use crate::http::limits::consume::{consume, refund, refusal, try_consume};
use crate::http::limits::{QuotaStatus, QuotaSubject, Rate, RateClass};
use crate::http::response::etag::OrderTag;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::problem::ProblemCode;
use crate::protocol::views::{Contact, OrderView};
use crate::storage::commands::{IdempotencyKey, PlaceOrder, PlaceOutcome, RenderedResponse, StoredResponse};

use super::place_body::{OnlinePayment, PlaceOrderBody};
use super::place_refusal::refused;

/// The name on a receipt when nobody gave one.
const NO_NAME: &str = "Guest";

/// Keeps fingerprints of orders apart from everything else that is fingerprinted.
const MAC_DOMAIN: &str = "idempotent order v1";

/// Place an order.
///
/// Customers order anything; members of the business order for its tables. With an idempotency key, in the header
/// `Idempotency-Key` or as `client_token`, the request may be repeated for 24 hours and happens once: the first
/// answer is given again, byte for byte, with `Idempotency-Replayed: true`.
#[utoipa::path(operation_id = "placeOrder", tag = "orders", request_body = PlaceOrderBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses(
        (status = 201, description = "The order", body = OrderView, headers(
            ("Location" = String, description = "Its address"),
            ("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`"),
            ("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"),
        )),
        (status = 404, description = "`not_found`: there is no such business for you"),
        (status = 409, description = "`price_changed` with `total_minor` and `currency`, `business_paused`, `business_closed`, `not_offered` with `offered`, `orders_held` or `request_in_flight`"),
        (status = 429, description = "`too_many_requests`, or `too_many_open_orders`: as many of your orders as may wait for this business's answer"),
    ))]
#[post("/orders")]
pub(super) async fn place(
    app: web::Data<AppState>,
    who: SignedIn<CanPlaceOrders>,
    request: HttpRequest,
    body: Result<Body<PlaceOrderBody>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let principal = who.principal;
    let subject = QuotaSubject::User(principal.user);
    let online = OnlinePayment::of(app.payments.provider());
    let checked = body.and_then(|Body(order)| order.check(&request, online).map(|key| (order, key)));
    let (order, key) = match checked {
        Ok(checked) => checked,
        // Wrong input costs an order: otherwise it would be the only request without a limit.
        Err(error) => return Err(consume(&app, RateClass::Orders, subject).await.err().unwrap_or(error)),
    };
    let idempotency = key.map(|key| idempotency_key(&app, principal, key, &order));
    // Held until the answer is known, so that a duplicate finds it.
    let guard = guard_of(&app, idempotency.as_ref()).await?;
    let waited = guard.as_ref().is_some_and(|guard| guard.waited);
    let mut consumed = try_consume(&app, RateClass::Orders, subject).await;
    if let Some(key) = &idempotency
        && let Some(answer) = stored_answer(&app, principal, key, waited, consumed.as_ref()).await?
    {
        return Ok(answer);
    }
    if let Some(refused) = consumed.take_if(|consumed| consumed.is_refused()) {
        return Err(refusal(&app, refused));
    }
    match try_place(&app, principal, order, idempotency).await {
        Ok(outcome) => respond(&app, principal, outcome, consumed).await,
        Err(error) => {
            // A client that comes again when told to must not run out of orders without having placed one.
            if error.code() == ProblemCode::Unavailable {
                refund(&app, consumed.as_ref());
            }
            Err(if guard.is_some() { error.of_keyed_request() } else { error })
        }
    }
}

impl Endpoint for place {
    const FACTS: RouteFacts =
        RouteFacts::of::<CanPlaceOrders>().rate(Rate::Order).body_limit(64 * KIB).sheds();
}

fn idempotency_key(app: &AppState, who: Principal, key: String, order: &PlaceOrderBody) -> IdempotencyKey {
    IdempotencyKey {
        scope: format!("{} POST /orders", who.user),
        key,
        request_mac: fingerprint(app, MAC_DOMAIN, order),
    }
}

/// The right to work on a key, once no other request does.
async fn guard_of(app: &AppState, key: Option<&IdempotencyKey>) -> Result<Option<KeyGuard>, ApiError> {
    match key {
        Some(key) => Ok(Some(app.in_flight_keys.enter(&key.scope, &key.key, WAIT).await?)),
        None => Ok(None),
    }
}

/// The stored answer to an earlier request with this key, looked up only for a caller who has no order left, since a
/// repetition is no order, or who has waited for a duplicate, since a queue of duplicates moves on by reads. For all
/// others the transaction that writes the order finds the key: asking before would cost each order three round trips to
/// the database.
///
/// # Errors
/// 422 when the key belongs to another request, 429 when the caller has no request left either.
async fn stored_answer(
    app: &AppState,
    who: Principal,
    key: &IdempotencyKey,
    waited: bool,
    consumed: Option<&QuotaStatus>,
) -> Result<Option<HttpResponse>, ApiError> {
    let over_limit = consumed.is_some_and(QuotaStatus::is_refused);
    if !waited && !over_limit {
        return Ok(None);
    }
    let request = if over_limit { consume(app, RateClass::Api, who.into()).await? } else { None };
    let Some(kept) = app.store.stored_response(&key.scope, &key.key).await? else { return Ok(None) };
    let status = if over_limit { request } else { charge_repetition(app, who, consumed.cloned()).await };
    if kept.request_mac == key.request_mac { Ok(Some(replay(kept, status))) } else { Err(key_reused()) }
}

/// The answer to an order that was written, or was not.
async fn respond(
    app: &AppState,
    who: Principal,
    outcome: PlaceOutcome,
    consumed: Option<QuotaStatus>,
) -> Result<HttpResponse, ApiError> {
    match outcome {
        PlaceOutcome::Placed(order) => {
            let mut answer = placed(&order.id.to_string(), OrderTag::of(&order)).body(created(&order).body.0);
            if let Some(status) = consumed {
                status.write_to(answer.headers_mut());
            }
            Ok(answer)
        }
        PlaceOutcome::Replayed(kept) => {
            let status = charge_repetition(app, who, consumed).await;
            Ok(replay(kept, status))
        }
        // Not cheap like a repetition: it is a write, and could be made again and again.
        PlaceOutcome::KeyReused => Err(key_reused()),
        PlaceOutcome::Refused(refusal) => Err(refused(refusal)),
    }
}

/// Charges one request for a repetition and gives the order back. A caller who has no request left has spent the order.
async fn charge_repetition(
    app: &AppState,
    who: Principal,
    order: Option<QuotaStatus>,
) -> Option<QuotaStatus> {
    let request = try_consume(app, RateClass::Api, who.into()).await?;
    if request.is_refused() {
        return order;
    }
    refund(app, order.as_ref());
    Some(request)
}

async fn try_place(
    app: &AppState,
    who: Principal,
    order: PlaceOrderBody,
    idempotency: Option<IdempotencyKey>,
) -> Result<PlaceOutcome, ApiError> {
    if who.role == Role::Merchant {
        authorization::membership(app, who, order.business_id.clone().into_inner()).await?;
        if order.fulfilment.clone().into_inner() != Fulfilment::DineIn {
            return Err(ApiError::new(ProblemCode::Forbidden, "Members order for their tables only."));
        }
    }
    if let Err(held) = check_holds(app, order.business_id.clone().into_inner()).await {
        return placed_before(app, idempotency.as_ref()).await?.ok_or(held);
    }
    let failed = &app.metrics.order_creation_errors_total;
    let draft = draft(app, who, order).await.inspect_err(|_| failed.inc())?;
    let most_waiting = app.limits.is_some().then_some(app.settings.limits.open_orders);
    let order = PlaceOrder { draft, idempotency, most_waiting, respond: created };
    let placed = app.persistence.place_order(order).await;
    Ok(placed.inspect_err(|_| failed.inc())?)
}

/// What an earlier request with this key came to: a repetition is no new order, so it is answered while orders are held.
async fn placed_before(
    app: &AppState,
    key: Option<&IdempotencyKey>,
) -> Result<Option<PlaceOutcome>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let kept = app.store.stored_response(&key.scope, &key.key).await?;
    Ok(kept.map(|kept| match kept.request_mac == key.request_mac {
        true => PlaceOutcome::Replayed(kept),
        false => PlaceOutcome::KeyReused,
    }))
}

/// Whether operators hold new orders there. The business is looked at only while there is such a hold.
///
/// # Errors
/// 409 `orders_held`.
async fn check_holds(app: &AppState, business: BusinessId) -> Result<(), ApiError> {
    if app.holds.is_free(HeldAction::NewOrders) {
        return Ok(());
    }
    let Some(found) = app.reads.business(business).await? else { return Ok(()) };
    match app.holds.over(HeldAction::NewOrders, business, &found.value.zone, Timestamp::now()) {
        Some(hold) => Err(ApiError::new(
            ProblemCode::OrdersHeld,
            format!("Orders are taken again at {} at the latest.", hold.until.to_rfc3339()),
        )),
        None => Ok(()),
    }
}

async fn draft(app: &AppState, who: Principal, mut order: PlaceOrderBody) -> Result<Draft, ApiError> {
    let placed_by = if who.role == Role::Merchant { Party::Member } else { Party::Customer };
    let contact = match order.customer.take() {
        Some(customer) => (customer.name, customer.phone.map(|phone| rules::checked_phone(&phone))),
        // The guest at the table is not the member who took the order.
        None if placed_by == Party::Member => (NO_NAME.to_owned(), None),
        None => {
            let own = app.store.user(who.user).await?.and_then(|user| user.name);
            (own.unwrap_or_else(|| NO_NAME.to_owned()), None)
        }
    };
    Ok(order.into_draft(who.user, placed_by, contact))
}

/// The response to an order that was placed: given now, and again for each repetition of a request with a key.
fn created(order: &Order) -> RenderedResponse {
    let body = serde_json::to_string(&OrderView::new(order, Contact::Shown))
        .expect("an order is made of texts and numbers");
    RenderedResponse { status: StatusCode::CREATED.as_u16(), body: Private(body) }
}

/// The head of the answer to an order that was placed.
fn placed(id: &str, tag: OrderTag) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Created();
    response
        .content_type("application/json")
        .insert_header((LOCATION, format!("/api/v1/orders/{id}")))
        .insert_header((ETAG, tag.header()));
    response
}

/// The first answer again: the same body byte for byte, and the headers that follow from it.
fn replay(kept: StoredResponse, status: Option<QuotaStatus>) -> HttpResponse {
    #[derive(Deserialize)]
    struct Counted {
        version: Option<i64>,
    }
    #[derive(Deserialize)]
    struct Named {
        id: String,
        version: i64,
        delivery: Option<Counted>,
        payment: Counted,
    }
    let code = StatusCode::from_u16(kept.status).expect("the store keeps statuses that were answered");
    let mut response = match serde_json::from_str::<Named>(&kept.body) {
        Ok(Named { id, version, delivery, payment }) => {
            let delivery = delivery.map(|delivery| delivery.version.unwrap_or(1));
            placed(&id, OrderTag::of_shown(version, delivery, payment.version))
        }
        Err(_) => HttpResponse::Created(),
    };
    response.status(code).content_type("application/json").insert_header((REPLAYED, "true"));
    let mut answer = response.body(kept.body);
    if let Some(status) = status {
        status.write_to(answer.headers_mut());
    }
    answer
}
