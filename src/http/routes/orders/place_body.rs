//! The body of a new order, with the rules that concern several of its fields.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use actix_web::HttpRequest;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::Location;
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Address, Draft, DraftItem, Fulfilment, Party, PaymentMethod};
use crate::http::idempotency::key::key_of;
use crate::http::input::{List, Parsed, rules, schema_of};
use crate::http::response::problem::ApiError;
use crate::outbound::PaymentProvider;
use crate::protocol::problem::{FieldError, ProblemCode};

/// Whether orders can be paid online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnlinePayment {
    /// There is a payment provider.
    Available,
    /// There is none.
    Unavailable,
}

impl OnlinePayment {
    /// With this provider, if there is one.
    pub(super) fn of(provider: Option<&dyn PaymentProvider>) -> Self {
        if provider.is_some() { Self::Available } else { Self::Unavailable }
    }
}

/// The order a customer wants. Prices come from the menu.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrder, example = json!({
    "business_id": "biz_0190f3c1a2b37d4e8f00112233445566", "fulfilment": "pickup",
    "items": [{"sku": "pastel", "qty": 2}], "customer": {"name": "Zoë", "phone": "+351 21 000 00 00"},
    "notes": "No cinnamon, please", "payment": "cash"
}))]
pub(super) struct PlaceOrderBody {
    /// The business.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<BusinessId>)]
    pub(super) business_id: Parsed<BusinessId>,
    /// The way the customer gets it.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Fulfilment>)]
    pub(super) fulfilment: Parsed<Fulfilment>,
    /// 1 to 100 lines.
    #[garde(dive)]
    #[schema(value_type = Vec<NewOrderItem>, min_items = 1, max_items = 100)]
    pub(super) items: List<NewOrderItem, 1, 100>,
    /// The recipient; a customer's own name unless given, and `Guest` where a member orders.
    #[garde(dive)]
    pub(super) customer: Option<NewOrderCustomer>,
    /// The address of a delivery: with `delivery`, and only then.
    #[garde(dive)]
    pub(super) address: Option<NewOrderAddress>,
    /// The number of the table: with `dine_in`, and only then. Required where the business has tables.
    #[garde(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, example = 4)]
    pub(super) table: Option<i64>,
    /// For the kitchen; new lines are fine.
    #[garde(inner(custom(rules::block::<500>)))]
    #[schema(min_length = 1, max_length = 500, example = "No cinnamon, please")]
    pub(super) notes: Option<String>,
    /// The way of payment. With `online` the order waits in `pending_payment`: begin to pay it by `POST /payments/initiate`. Not where the hub
    /// has no payment provider.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<PaymentMethod>)]
    pub(super) payment: Parsed<PaymentMethod>,
    /// The total that the customer was shown, in minor units. If the menu's total differs by now, nothing is ordered.
    #[garde(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 260)]
    pub(super) expected_total_minor: Option<i64>,
    /// The same as the header `Idempotency-Key`, for clients that cannot set one.
    #[garde(inner(custom(rules::idempotency_key)))]
    #[serde(skip_serializing)]
    #[schema(min_length = 1, max_length = 64, example = "6f1c5f9e-order-1")]
    pub(super) client_token: Option<String>,
}

/// A line of an order.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderItem {
    /// The menu's code.
    #[garde(custom(rules::sku))]
    #[schema(min_length = 1, max_length = 64, example = "pastel")]
    pub(super) sku: String,
    /// The quantity.
    #[garde(range(min = 1, max = 999))]
    #[schema(minimum = 1, maximum = 999, example = 2)]
    pub(super) qty: i64,
}

/// The recipient of an order.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderCustomer {
    /// The name on the receipt.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "Zoë")]
    pub(super) name: String,
    /// As people write it, with at least three digits of any script.
    #[garde(inner(custom(rules::phone)))]
    #[schema(min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    pub(super) phone: Option<String>,
}

/// The address of a delivery.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderAddress {
    /// As a person would write it; new lines are fine.
    #[garde(custom(rules::block::<300>))]
    #[schema(min_length = 1, max_length = 300, example = "Rua Augusta 1, 3rd floor")]
    pub(super) text: String,
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.7101)]
    pub(super) lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.1366)]
    pub(super) lng: f64,
}

impl PlaceOrderBody {
    /// Checks the fields that depend on the fulfilment.
    fn check_fulfilment(&self) -> Result<(), ApiError> {
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

    /// Checks that the order can be paid, by a hub with or without a payment provider: otherwise it would wait in vain.
    fn check_payment(&self, online: OnlinePayment) -> Result<(), ApiError> {
        match (self.payment.clone().into_inner(), online) {
            (PaymentMethod::Cash, _) | (PaymentMethod::Online, OnlinePayment::Available) => Ok(()),
            (PaymentMethod::Online, OnlinePayment::Unavailable) => Err(ApiError::new(
                ProblemCode::PaymentUnavailable,
                "This hub has no payment provider: order with the payment cash.",
            )),
        }
    }

    /// The idempotency key of an order whose fields fit together.
    ///
    /// # Errors
    /// 422 for fields that do not, for two different keys and for a header that is no key.
    pub(super) fn check(
        &self,
        request: &HttpRequest,
        online: OnlinePayment,
    ) -> Result<Option<String>, ApiError> {
        let key = one_key(key_of(request)?, self.client_token.clone())?;
        self.check_fulfilment()?;
        self.check_payment(online)?;
        Ok(key)
    }

    /// The draft of the order, for the customer of this name and phone number.
    pub(super) fn into_draft(
        self,
        customer: UserId,
        placed_by: Party,
        (customer_name, phone): (String, Option<String>),
    ) -> Draft {
        let line = |item: NewOrderItem| DraftItem {
            sku: item.sku,
            qty: u32::try_from(item.qty).expect("the range of the field lies within 32 bits"),
        };
        Draft {
            id: OrderId::generate(),
            business_id: self.business_id.into_inner(),
            customer_id: customer,
            placed_by,
            customer_name,
            phone,
            address: self
                .address
                .map(|a| Address { text: a.text, location: Location { lat: a.lat, lng: a.lng } }),
            fulfilment: self.fulfilment.into_inner(),
            items: self.items.into_inner().into_iter().map(line).collect(),
            table: self
                .table
                .map(|table| u16::try_from(table).expect("the range of the field lies within 16 bits")),
            notes: self.notes,
            payment: self.payment.into_inner(),
            expected_total_minor: self.expected_total_minor,
        }
    }
}

/// The key, in the header or in the body.
fn one_key(header: Option<String>, body: Option<String>) -> Result<Option<String>, ApiError> {
    match (header, body) {
        (Some(header), Some(body)) if header != body => {
            Err(ApiError::invalid_field("client_token", "differs from the header Idempotency-Key"))
        }
        (header, body) => Ok(header.or(body)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(fields: serde_json::Value) -> PlaceOrderBody {
        let mut order = json!({
            "business_id": BusinessId::generate(), "fulfilment": "pickup", "payment": "cash",
            "items": [{"sku": "a", "qty": 1}],
        });
        order.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn an_address_goes_with_a_delivery_and_a_table_with_dining_in() {
        let wrong = |fields| match order(fields).check_fulfilment() {
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
        use OnlinePayment::{Available, Unavailable};
        let judged = |payment, online| {
            order(json!({"payment": payment})).check_payment(online).map_err(|error| error.code())
        };
        assert_eq!((judged("cash", Available), judged("cash", Unavailable)), (Ok(()), Ok(())));
        assert_eq!(judged("online", Available), Ok(()));
        assert_eq!(judged("online", Unavailable), Err(ProblemCode::PaymentUnavailable));
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
