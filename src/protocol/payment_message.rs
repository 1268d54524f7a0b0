//! Messages of the payment provider. Their form is the provider's, so fields that the hub does not know are passed over.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Number;

use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::payment::{NewsRefusal, PaymentNews};

/// Longest id of an event that is looked at, bytes.
const MAX_EVENT_ID: usize = 255;

/// A message as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMessage {
    /// The payment that it names.
    pub payment: Option<PaymentId>,
    /// The order that it names.
    pub order: Option<OrderId>,
    /// The provider's own id for it, the same when it comes again.
    pub event: Option<String>,
    /// What it says; [`NewsRefusal::Unreadable`] when something that is needed is missing or is no value of its kind.
    pub news: Result<PaymentNews, NewsRefusal>,
}

/// A field of any kind.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    /// A JSON string.
    Text(String),
    /// A JSON number.
    Number(Number),
    /// Nothing that the hub expects.
    Other(IgnoredAny),
}

/// The fields that the hub knows, each of any kind.
#[derive(Default, Deserialize)]
struct Fields {
    payment_id: Option<Field>,
    order_id: Option<Field>,
    status: Option<Field>,
    event_id: Option<Field>,
    amount_minor: Option<Field>,
    currency: Option<Field>,
    refund_id: Option<Field>,
}

impl PaymentMessage {
    /// Reads the body of a message.
    pub fn read(body: &str) -> Self {
        let fields: Fields = serde_json::from_str(body).unwrap_or_default();
        let payment = text(fields.payment_id.as_ref());
        let order = text(fields.order_id.as_ref());
        let event = match &fields.event_id {
            Some(Field::Text(id)) if (1..=MAX_EVENT_ID).contains(&id.len()) => Some(id.clone()),
            Some(Field::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let news = news(&fields, payment, order).ok_or(NewsRefusal::Unreadable);
        Self { payment, order, event, news }
    }
}

fn news(fields: &Fields, payment: Option<PaymentId>, order: Option<OrderId>) -> Option<PaymentNews> {
    let amount_minor = match &fields.amount_minor {
        Some(Field::Number(amount)) => Some(amount.as_i64()?),
        Some(_) => return None,
        None => None,
    };
    Some(PaymentNews {
        payment: payment?,
        order: order?,
        status: text(fields.status.as_ref())?,
        amount_minor,
        currency: optional(fields.currency.as_ref())?,
        refund: optional(fields.refund_id.as_ref())?,
        is_foreign: false,
    })
}

/// A value that is written as a text.
fn text<T: std::str::FromStr>(value: Option<&Field>) -> Option<T> {
    match value? {
        Field::Text(text) => text.parse().ok(),
        Field::Number(_) | Field::Other(_) => None,
    }
}

/// As [`text`], of a field that may be missing; `None` when it is there and is no such value.
fn optional<T: std::str::FromStr>(value: Option<&Field>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(_) => text(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::domain::ids::RefundId;
    use crate::domain::payment::NewsStatus;

    use super::*;

    fn with(changes: Value) -> Value {
        let mut message = json!({
            "payment_id": PaymentId::generate(), "order_id": OrderId::generate(), "status": "SUCCESS",
        });
        message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        message
    }

    #[test]
    fn a_message_says_what_it_says_and_more_than_the_hub_knows() {
        let refund = RefundId::generate();
        let message = with(json!({
            "status": "REFUNDED", "event_id": "evt-1", "amount_minor": 250, "currency": "EUR", "refund_id": refund,
            "livemode": true, "nested": {"a": [1]}, "fee_minor": null,
        }));
        let read = PaymentMessage::read(&message.to_string());
        let news = read.news.unwrap();
        assert_eq!(
            (news.status, news.amount_minor, news.refund),
            (NewsStatus::Refunded, Some(250), Some(refund))
        );
        assert_eq!((Some(news.payment), Some(news.order)), (read.payment, read.order));
        assert_eq!((read.event.as_deref(), news.currency.unwrap().as_str()), (Some("evt-1"), "EUR"));
        let absent =
            with(json!({"event_id": null, "amount_minor": null, "currency": null, "refund_id": null}));
        let read = PaymentMessage::read(&absent.to_string());
        assert!(read.event.is_none() && read.news.is_ok_and(|news| news.amount_minor.is_none()));
        assert_eq!(
            PaymentMessage::read(&with(json!({"event_id": 7})).to_string()).event.as_deref(),
            Some("7")
        );
    }

    #[test]
    fn what_cannot_be_read_says_at_least_whom_it_is_about() {
        for wrong in [
            json!({"status": "PAID"}),
            json!({"status": 1}),
            json!({"amount_minor": 2.5}),
            json!({"amount_minor": "250"}),
            json!({"amount_minor": 1e30}),
            json!({"currency": "euro"}),
            json!({"refund_id": "ref_1"}),
        ] {
            let read = PaymentMessage::read(&with(wrong.clone()).to_string());
            assert_eq!(read.news, Err(NewsRefusal::Unreadable), "{wrong}");
            assert!(read.payment.is_some() && read.order.is_some(), "{wrong}");
        }
        for wrong in [json!({"payment_id": "pi_1"}), json!({"order_id": 1}), json!({"payment_id": null})] {
            assert!(PaymentMessage::read(&with(wrong).to_string()).news.is_err());
        }
        let twice = r#"{"status":"SUCCESS","status":"FAILED"}"#;
        for wrong in ["", "null", "[]", "7", "\u{0}", twice, &"[".repeat(100_000)] {
            let read = PaymentMessage::read(wrong);
            assert_eq!((read.payment, read.order, read.event), (None, None, None));
            assert_eq!(read.news, Err(NewsRefusal::Unreadable));
        }
        let long = with(json!({"event_id": "e".repeat(256)}));
        assert_eq!(PaymentMessage::read(&long.to_string()).event, None);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in ".{0,200}") {
            PaymentMessage::read(&body);
        }
    }
}
