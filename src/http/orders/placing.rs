//! Placing an order (requirements 3.1 and 3.2).

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::{Principal, Role};
use crate::domain::business::{Location, NotTakingOrders};
use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::{
    Address, Draft, DraftItem, Fulfilment, Order, Party, PaymentMethod, PlaceRefusal,
};
use crate::domain::private::Private;
use crate::protocol::problem::{FieldError, ProblemCode};
use crate::protocol::views::{Contact, OrderView};
use crate::storage::commands::{IdempotencyKey, PlaceOrder, PlaceOutcome, RenderedResponse, StoredResponse};

use super::super::idempotency::{REPLAYED, Turn, WAIT, key_of, key_reused};
use super::super::identity::{Orderers, SignedIn};
use super::super::input::{Body, List, Parsed, rules, schema_of};
use super::super::limits::{Class, Spent, Subject};
use super::super::problem::ApiError;
use super::super::state::Api;
use super::tag::Tag;

/// The name on a receipt when nobody gave one.
const NO_NAME: &str = "Guest";

/// Keeps fingerprints of orders apart from everything else that is fingerprinted.
const MAC_DOMAIN: &str = "idempotent order v1";

/// What a customer wants. Prices come from the menu.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "business_id": "biz_0190f3c1a2b37d4e8f00112233445566", "fulfilment": "pickup",
    "items": [{"sku": "pastel", "qty": 2}], "customer": {"name": "Zoë", "phone": "+351 21 000 00 00"},
    "notes": "No cinnamon, please", "payment": "cash"
}))]
pub(super) struct NewOrder {
    /// Where.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<BusinessId>)]
    business_id: Parsed<BusinessId>,
    /// How the customer gets it.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Fulfilment>)]
    fulfilment: Parsed<Fulfilment>,
    /// 1 to 100 lines.
    #[garde(dive)]
    #[schema(value_type = Vec<NewOrderItem>, min_items = 1, max_items = 100)]
    items: List<NewOrderItem, 1, 100>,
    /// Who gets it; a customer's own name unless given, and `Guest` where a member orders.
    #[garde(dive)]
    customer: Option<NewOrderCustomer>,
    /// Where to take it: with `delivery`, and only then.
    #[garde(dive)]
    address: Option<NewOrderAddress>,
    /// The number of the table: with `dine_in`, and only then. Required where the business has tables.
    #[garde(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, example = 4)]
    table: Option<i64>,
    /// For the kitchen; new lines are fine.
    #[garde(inner(custom(rules::block::<500>)))]
    #[schema(min_length = 1, max_length = 500, example = "No cinnamon, please")]
    notes: Option<String>,
    /// How it will be paid. `online` is not available while the hub has no payment provider.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<PaymentMethod>)]
    payment: Parsed<PaymentMethod>,
    /// What the customer was told that it costs, in minor units. If the menu says otherwise by now, nothing is ordered.
    #[garde(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 260)]
    expected_total_minor: Option<i64>,
    /// The same as the header `Idempotency-Key`, for clients that cannot set one.
    #[garde(inner(custom(rules::idempotency_key)))]
    #[serde(skip_serializing)]
    #[schema(min_length = 1, max_length = 64, example = "6f1c5f9e-order-1")]
    client_token: Option<String>,
}

/// A line of an order.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderItem {
    /// The menu's code.
    #[garde(custom(rules::sku))]
    #[schema(min_length = 1, max_length = 64, example = "pastel")]
    sku: String,
    /// How many.
    #[garde(range(min = 1, max = 999))]
    #[schema(minimum = 1, maximum = 999, example = 2)]
    qty: i64,
}

/// Who gets the order.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderCustomer {
    /// The name on the receipt.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "Zoë")]
    name: String,
    /// As people write it, with at least three digits of any script.
    #[garde(inner(custom(rules::phone)))]
    #[schema(min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    phone: Option<String>,
}

/// Where a delivery is taken.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderAddress {
    /// As a person would write it; new lines are fine.
    #[garde(custom(rules::block::<300>))]
    #[schema(min_length = 1, max_length = 300, example = "Rua Augusta 1, 3rd floor")]
    text: String,
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.7101)]
    lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.1366)]
    lng: f64,
}

/// Place an order.
///
/// Customers order anything; members of the business order for its tables. With an idempotency key, in the header
/// `Idempotency-Key` or as `client_token`, the request may be repeated for 24 hours and happens once: the first
/// answer is given again, byte for byte, with `Idempotency-Replayed: true`.
#[utoipa::path(operation_id = "placeOrder", tag = "orders", security(("bearer" = [])), request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses(
        (status = 201, description = "The order", body = OrderView, headers(
            ("Location" = String, description = "Its address"),
            ("ETag" = String, description = "`\"<version>.<delivery>.<payment>\"`"),
            ("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"),
        )),
        (status = 404, description = "`not_found`: there is no such business for you"),
        (status = 409, description = "`price_changed` with `total_minor` and `currency`, `business_paused`, `business_closed` or `request_in_flight`"),
    ))]
#[post("/orders")]
pub(super) async fn place(
    api: web::Data<Api>,
    who: SignedIn<Orderers>,
    request: HttpRequest,
    body: Result<Body<NewOrder>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let subject = Subject::User(who.principal.user);
    let readable = body.and_then(|body| {
        let key = one_key(key_of(&request)?, body.0.client_token.clone())?;
        body.0.check_whole().and_then(|()| body.0.check_payment()).map(|()| (body.0, key))
    });
    let (order, key) = match readable {
        Ok(readable) => readable,
        // Nonsense is not free, or it would be the one thing without a limit.
        Err(error) => return Err(api.spend(Class::Orders, subject).await.err().unwrap_or(error)),
    };
    let idempotency = key.map(|key| IdempotencyKey {
        scope: format!("{} POST /orders", who.principal.user),
        key,
        request_mac: api.fingerprint(MAC_DOMAIN, &order),
    });
    // Held until the answer is known, so that a duplicate finds it.
    let passage = match &idempotency {
        Some(key) => Some(api.gate.enter(&key.scope, &key.key, WAIT).await?),
        None => None,
    };
    let waited = passage.as_ref().is_some_and(|passage| passage.turn == Turn::After);
    let mut spent = api.try_spend(Class::Orders, subject).await;
    let over_limit = spent.as_ref().is_some_and(Spent::is_refused);
    // Whether a key was used is found out where the order is written: to ask before would cost every order three round
    // trips to the database. Looked up first is who has nothing left, since repeating a request is no order, and who has
    // waited for another one: a queue of duplicates moves on by reads.
    if let Some(key) = &idempotency
        && (waited || over_limit)
    {
        let asked = if over_limit { api.spend(Class::Api, who.principal.into()).await? } else { None };
        if let Some(kept) = api.store.stored_response(&key.scope, &key.key).await? {
            let told = if over_limit { asked } else { api.charge_repetition(who.principal, spent).await };
            return if kept.request_mac == key.request_mac {
                Ok(replay(kept, told))
            } else {
                Err(key_reused())
            };
        }
    }
    if let Some(refused) = spent.take_if(|spent| spent.is_refused()) {
        return Err(api.refusal(refused));
    }
    let has_key = idempotency.is_some();
    let outcome = match api.try_place(who.principal, order, idempotency).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let error = if has_key { error.of_keyed_request() } else { error };
            // Who comes again when told to must not run out of orders without having placed one.
            if error.code() == ProblemCode::Unavailable {
                api.refund(spent.as_ref()).await;
            }
            return Err(error);
        }
    };
    match outcome {
        PlaceOutcome::Placed(order) => {
            let mut answer = placed(&order.id.to_string(), Tag::of(&order)).body(created(&order).body.0);
            if let Some(spent) = spent {
                spent.tell(answer.headers_mut());
            }
            Ok(answer)
        }
        PlaceOutcome::Replayed(kept) => {
            let told = api.charge_repetition(who.principal, spent).await;
            Ok(replay(kept, told))
        }
        // Not cheap like a repetition: it is a write, and could be made again and again.
        PlaceOutcome::KeyReused => Err(key_reused()),
        PlaceOutcome::Refused(refusal) => Err(refused(refusal)),
    }
}

impl NewOrder {
    /// What only all fields together can tell.
    fn check_whole(&self) -> Result<(), ApiError> {
        let fulfilment = self.fulfilment.clone().into_inner();
        let (delivery, dine_in) = (fulfilment == Fulfilment::Delivery, fulfilment == Fulfilment::DineIn);
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            wrong.push(FieldError { field: field.to_owned(), message: format!("{message} this fulfilment") });
        };
        match (self.address.is_some(), delivery) {
            (false, true) => refuse("address", "is required with"),
            (true, false) => refuse("address", "does not go with"),
            (true, true) | (false, false) => {}
        }
        // Whether one is required is known by the business.
        if self.table.is_some() && !dine_in {
            refuse("table", "does not go with");
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
    }

    /// Whether it can be paid like this: an order nobody can pay would wait for ever. The one place that knows whether there is a
    /// payment provider.
    fn check_payment(&self) -> Result<(), ApiError> {
        match self.payment.clone().into_inner() {
            PaymentMethod::Cash => Ok(()),
            PaymentMethod::Online => Err(ApiError::new(
                ProblemCode::PaymentUnavailable,
                "This hub has no payment provider: order with the payment cash.",
            )),
        }
    }
}

impl Api {
    /// A repetition is one more request and no order; who has no request left has spent an order on it.
    async fn charge_repetition(&self, who: Principal, order: Option<Spent>) -> Option<Spent> {
        let request = self.try_spend(Class::Api, who.into()).await?;
        if request.is_refused() {
            return order;
        }
        self.refund(order.as_ref()).await;
        Some(request)
    }

    async fn try_place(
        &self,
        who: Principal,
        order: NewOrder,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<PlaceOutcome, ApiError> {
        if who.role == Role::Merchant {
            self.membership(who, order.business_id.clone().into_inner()).await?;
            if order.fulfilment.clone().into_inner() != Fulfilment::DineIn {
                return Err(ApiError::new(ProblemCode::Forbidden, "Members order for their tables only."));
            }
        }
        let failed = &self.metrics.order_creation_errors_total;
        let draft = self.draft(who, order).await.inspect_err(|_| failed.inc())?;
        let placed = self.persistence.place_order(PlaceOrder { draft, idempotency, respond: created }).await;
        Ok(placed.inspect_err(|_| failed.inc())?)
    }

    async fn draft(&self, who: Principal, order: NewOrder) -> Result<Draft, ApiError> {
        let placed_by = if who.role == Role::Merchant { Party::Member } else { Party::Customer };
        let (name, phone) = match order.customer {
            Some(customer) => (customer.name, customer.phone.map(|phone| rules::checked_phone(&phone))),
            // Whoever sits at the table, it is not who took the order.
            None if placed_by == Party::Member => (NO_NAME.to_owned(), None),
            None => {
                let own = self.store.user(who.user).await?.and_then(|user| user.name);
                (own.unwrap_or_else(|| NO_NAME.to_owned()), None)
            }
        };
        let line = |item: NewOrderItem| DraftItem {
            sku: item.sku,
            qty: u32::try_from(item.qty).expect("the range of the field lies within 32 bits"),
        };
        Ok(Draft {
            id: OrderId::generate(),
            business_id: order.business_id.into_inner(),
            customer_id: who.user,
            placed_by,
            customer_name: name,
            phone,
            address: order
                .address
                .map(|a| Address { text: a.text, location: Location { lat: a.lat, lng: a.lng } }),
            fulfilment: order.fulfilment.into_inner(),
            items: order.items.into_inner().into_iter().map(line).collect(),
            table: order
                .table
                .map(|table| u16::try_from(table).expect("the range of the field lies within 16 bits")),
            notes: order.notes,
            payment: order.payment.into_inner(),
            expected_total_minor: order.expected_total_minor,
        })
    }
}

/// The key, wherever it stands.
fn one_key(header: Option<String>, body: Option<String>) -> Result<Option<String>, ApiError> {
    match (header, body) {
        (Some(header), Some(body)) if header != body => {
            Err(ApiError::invalid_field("client_token", "differs from the header Idempotency-Key"))
        }
        (header, body) => Ok(header.or(body)),
    }
}

/// The answer to an order that was placed: given now, and again for each repetition of a request with a key.
fn created(order: &Order) -> RenderedResponse {
    let body = serde_json::to_string(&OrderView::new(order, Contact::Shown))
        .expect("an order is made of texts and numbers");
    RenderedResponse { status: StatusCode::CREATED.as_u16(), body: Private(body) }
}

/// The head of the answer to an order that was placed.
fn placed(id: &str, tag: Tag) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Created();
    response
        .content_type("application/json")
        .insert_header((LOCATION, format!("/api/v1/orders/{id}")))
        .insert_header((ETAG, tag.header()));
    response
}

/// The first answer again: the same body byte for byte, and the headers that follow from it.
fn replay(kept: StoredResponse, spent: Option<Spent>) -> HttpResponse {
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
    let status = StatusCode::from_u16(kept.status).expect("the store keeps statuses that were answered");
    let mut response = match serde_json::from_str::<Named>(&kept.body) {
        Ok(Named { id, version, delivery, payment }) => {
            let delivery = delivery.map(|delivery| delivery.version.unwrap_or(1));
            placed(&id, Tag::of_shown(version, delivery, payment.version))
        }
        Err(_) => HttpResponse::Created(),
    };
    response.status(status).content_type("application/json").insert_header((REPLAYED, "true"));
    let mut answer = response.body(kept.body);
    if let Some(spent) = spent {
        spent.tell(answer.headers_mut());
    }
    answer
}

fn refused(refusal: PlaceRefusal) -> ApiError {
    let lines = |lines: Vec<usize>, message: &str| {
        let named = |line| FieldError { field: format!("items[{line}].sku"), message: message.to_owned() };
        ApiError::invalid(lines.into_iter().map(named).collect())
    };
    match refusal {
        PlaceRefusal::NoSuchBusiness => ApiError::not_found(),
        PlaceRefusal::NotTakingOrders(NotTakingOrders::Paused(until)) => ApiError::new(
            ProblemCode::BusinessPaused,
            format!("It takes orders again at {}.", until.to_rfc3339()),
        ),
        PlaceRefusal::NotTakingOrders(NotTakingOrders::Closed) => {
            ApiError::new(ProblemCode::BusinessClosed, "It takes no orders until somebody opens it.")
        }
        PlaceRefusal::UnknownItems(unknown) => lines(unknown, "is not on the menu"),
        PlaceRefusal::UnavailableItems(unavailable) => lines(unavailable, "is not available now"),
        PlaceRefusal::NoSuchTable => ApiError::invalid_field("table", "the business has no such table"),
        PlaceRefusal::TableMissing => {
            ApiError::invalid_field("table", "is required: the business has tables, say at which one")
        }
        PlaceRefusal::PriceChanged { total_minor, currency } => ApiError::new(
            ProblemCode::PriceChanged,
            format!(
                "By the menu it costs {total_minor} {currency} now, in minor units. Nothing was ordered: ask the customer, and \
                 order with the new total."
            ),
        )
        .total(total_minor, currency),
        PlaceRefusal::TooExpensive => ApiError::invalid_field("items", "cost more than an order may"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(fields: serde_json::Value) -> NewOrder {
        let mut order = json!({
            "business_id": BusinessId::generate(), "fulfilment": "pickup", "payment": "cash",
            "items": [{"sku": "a", "qty": 1}],
        });
        order.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn an_address_goes_with_a_delivery_and_a_table_with_dining_in() {
        let wrong = |fields| match order(fields).check_whole() {
            Ok(()) => Vec::new(),
            Err(error) => error.problem().errors.iter().map(|e| e.field.clone()).collect::<Vec<_>>(),
        };
        let address = json!({"text": "x", "lat": 0, "lng": 0});
        assert!(wrong(json!({})).is_empty());
        assert!(wrong(json!({"fulfilment": "delivery", "address": address})).is_empty());
        assert!(wrong(json!({"fulfilment": "dine_in", "table": 1})).is_empty());
        assert_eq!(wrong(json!({"fulfilment": "delivery", "table": 1})), ["address", "table"]);
        assert_eq!(wrong(json!({"address": address, "table": 1})), ["address", "table"]);
        assert!(wrong(json!({"fulfilment": "dine_in"})).is_empty());
    }

    #[test]
    fn an_order_that_nobody_can_pay_is_refused() {
        let judged =
            |payment| order(json!({"payment": payment})).check_payment().map_err(|error| error.code());
        assert_eq!(judged("cash"), Ok(()));
        assert_eq!(judged("online"), Err(ProblemCode::PaymentUnavailable));
    }

    #[test]
    fn what_an_order_did_not_say_before_is_no_part_of_what_is_fingerprinted() {
        let text = serde_json::to_string(&order(json!({}))).unwrap();
        assert!(!text.contains("expected_total_minor"), "{text}");
    }

    #[test]
    fn the_key_may_come_both_ways_but_not_two_keys() {
        let key = |header: Option<&str>, body: Option<&str>| {
            one_key(header.map(str::to_owned), body.map(str::to_owned)).map_err(|e| e.code())
        };
        assert_eq!(key(None, None), Ok(None));
        assert_eq!(key(Some("a"), None), Ok(Some("a".to_owned())));
        assert_eq!(key(Some("a"), Some("a")), Ok(Some("a".to_owned())));
        assert_eq!(key(None, Some("b")), Ok(Some("b".to_owned())));
        assert_eq!(key(Some("a"), Some("b")), Err(ProblemCode::Invalid));
    }

    #[test]
    fn the_key_itself_is_no_part_of_what_is_fingerprinted() {
        let business = BusinessId::generate();
        let text = |token: Option<&str>| {
            serde_json::to_string(&order(json!({"business_id": business, "client_token": token}))).unwrap()
        };
        assert_eq!(text(Some("a")), text(None));
    }
}
