//! Messages of the payment provider.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::auth::webhook_signature::SignedMessage;
use crate::domain::ids::PaymentMessageId;
use crate::domain::private::Private;
use crate::domain::time::Timestamp;
use crate::fail_point;
use crate::http::app_state::AppState;
use crate::http::input::RawBody;
use crate::http::limits::consume::consume;
use crate::http::limits::{QuotaSubject, Rate, RateClass};
use crate::http::middleware::client_address::address_block;
use crate::http::middleware::rate_limit::Deposit;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, RouteFacts};
use crate::protocol::payment_message::PaymentMessage;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{Receipt, ReceiveMessage};

/// Longest part of a key that is kept as the provider wrote it, bytes.
const MAX_KEY_PART: usize = 128;

/// What the provider says of a payment. Fields that are not listed here are passed over.
#[derive(ToSchema)]
#[schema(example = json!({
    "payment_id": "pay_0190f3c1a2b37d4e8f00112233445566", "order_id": "ord_0190f3c1a2b37d4e8f00112233445566",
    "status": "SUCCESS", "event_id": "evt-1", "amount_minor": 600, "currency": "EUR"
}))]
#[expect(dead_code, reason = "it describes what is read by hand, since other fields are the provider's own")]
pub(super) struct ProviderMessage {
    /// `pay_…`, as the hub gave it to the provider.
    #[schema(example = "pay_0190f3c1a2b37d4e8f00112233445566")]
    payment_id: String,
    /// `ord_…`: the order that it pays.
    #[schema(example = "ord_0190f3c1a2b37d4e8f00112233445566")]
    order_id: String,
    /// `SUCCESS`, `FAILED`, `REFUNDED` or `REFUND_FAILED`.
    #[schema(example = "SUCCESS")]
    status: String,
    /// The provider's own id for this message, the same when it is sent again; at most 255 bytes.
    #[schema(example = "evt-1")]
    event_id: Option<String>,
    /// How much, in minor units. Without it: what was asked for, or all of the refund.
    #[schema(example = 600)]
    amount_minor: Option<i64>,
    /// ISO 4217. Without it: that of the payment.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// `ref_…`: the refund it is about. Without it: the one that is under way.
    refund_id: Option<String>,
}

/// The receipt of a message.
#[derive(Serialize, ToSchema)]
pub(super) struct ReceiptView {
    /// `taken`, or `repeated`: it was there already.
    #[schema(example = "taken")]
    receipt: &'static str,
}

/// Take in a message of the payment provider.
///
/// It is signed, over the raw body and with one of `payments.webhook_secrets`: by `X-Signature`, or by the three headers of Standard Webhooks, whose time may differ from the hub's by five minutes. It is stored before it is answered and worked on right after; a message that comes
/// again changes nothing. 2xx says that the hub has it, whatever it says; after any other answer send it again.
#[utoipa::path(operation_id = "receivePaymentMessage", tag = "payments",
    request_body(content = ProviderMessage, content_type = "application/json"),
    params(
        ("X-Signature" = Option<String>, Header, description = "`sha256=` and the HMAC-SHA256 of the body in hex"),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks: the id of the message"),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks: seconds since 1970"),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks: `v1,` and base64, several with spaces between"),
    ),
    responses(
        (status = 200, description = "It is stored", body = ReceiptView),
        (status = 401, description = "`bad_signature`"),
        (status = 503, description = "`unavailable` or `outcome_unknown`: send it again"),
    ))]
#[post("/payments/webhook")]
pub(super) async fn receive(
    app: web::Data<AppState>,
    request: HttpRequest,
    body: Result<RawBody, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let client = QuotaSubject::Address(address_block(&request));
    let body = match body {
        Ok(body) => body.0,
        Err(error) => return Err(charged(&app, &request, client, error).await),
    };
    let signed = signature_in(request.headers());
    if !signed.is_some_and(|signed| app.webhook_secrets.check(signed, &body, Timestamp::now())) {
        app.metrics.security_events_total.with_label_values(&["bad_webhook_signature"]).inc();
        return Err(charged(&app, &request, client, bad_signature()).await);
    }
    let status = consume(&app, RateClass::Webhooks, QuotaSubject::Hub).await?;
    request.extensions_mut().insert(Deposit(status));
    // Text that is none is kept as far as it can be, for who looks at it.
    let text = String::from_utf8_lossy(&body).into_owned();
    let message = PaymentMessage::read(&text);
    let standard_id = match signed {
        Some(SignedMessage::Standard { id, .. }) => Some(id),
        Some(SignedMessage::Body { .. }) | None => None,
    };
    let write = ReceiveMessage {
        id: PaymentMessageId::generate(),
        key: key_of(&message, standard_id, &body),
        body: Private(text),
        order: message.order,
        payment: message.payment,
    };
    fail_point::reach("message_received");
    let receipt = app.persistence.write(Box::new(write)).await?;
    fail_point::reach("message_stored");
    let receipt = match receipt {
        Receipt::Taken => "taken",
        Receipt::Repeated => "repeated",
    };
    Ok(HttpResponse::Ok().json(ReceiptView { receipt }))
}

impl Endpoint for receive {
    const FACTS: RouteFacts = RouteFacts::public().rate(Rate::Webhook).body_limit(64 * KIB);
}

fn bad_signature() -> ApiError {
    ApiError::new(
        ProblemCode::BadSignature,
        "Sign the raw body with a secret that the hub knows, and send it within five minutes.",
    )
}

/// A refusal for which the address pays, or that it has nothing left to pay with.
async fn charged(app: &AppState, request: &HttpRequest, client: QuotaSubject, error: ApiError) -> ApiError {
    match consume(app, RateClass::Public, client).await {
        Ok(status) => {
            request.extensions_mut().insert(Deposit(status));
            error
        }
        Err(spent) => spent,
    }
}

/// What the headers say about the signature; of a header that is given twice nothing is believed.
fn signature_in(headers: &HeaderMap) -> Option<SignedMessage<'_>> {
    let one = |name: &'static str| {
        let mut values = headers.get_all(HeaderName::from_static(name));
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok()
    };
    if headers.contains_key("webhook-signature") {
        let (id, timestamp) = (one("webhook-id")?, one("webhook-timestamp")?);
        return Some(SignedMessage::Standard { id, timestamp, signatures: one("webhook-signature")? });
    }
    Some(SignedMessage::Body { signature: one("x-signature")? })
}

/// The key by which a repetition is known: the id of Standard Webhooks, else the provider's id of the event, else what it says of
/// which payment and refund. A body that cannot be read is its own key.
fn key_of(message: &PaymentMessage, standard_id: Option<&str>, body: &[u8]) -> String {
    match (standard_id, &message.event, &message.news) {
        (Some(id), _, _) => format!("webhook:{}", key_part(id)),
        (None, Some(event), _) => format!("event:{}", key_part(event)),
        (None, None, Ok(news)) => {
            let refund = news.refund.map_or_else(String::new, |refund| format!(":{refund}"));
            format!("payment:{}:{}{refund}", news.payment, news.status)
        }
        (None, None, Err(_)) => format!("body:{}", digest(body)),
    }
}

/// A part of a key that is short and can be stored as it is, or else the digest of it.
fn key_part(text: &str) -> String {
    let is_plain = text.len() <= MAX_KEY_PART && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { text.to_owned() } else { format!("sha256:{}", digest(text.as_bytes())) }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use serde_json::json;

    use crate::domain::ids::{OrderId, PaymentId, RefundId};

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in all {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_headers_of_standard_webhooks_count_before_x_signature_and_no_header_twice() {
        let of = |all: &[(&'static str, &'static str)]| signature_in(&headers(all)).is_some();
        let standard = [("webhook-id", "m"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,x")];
        assert!(of(&standard) && of(&[("x-signature", "sha256=00")]));
        let both = [&standard[..], &[("x-signature", "sha256=00")]].concat();
        assert!(matches!(signature_in(&headers(&both)), Some(SignedMessage::Standard { id: "m", .. })));
        assert!(!of(&[]) && !of(&standard[..2]) && !of(&standard[1..]));
        assert!(!of(&[("x-signature", "sha256=00"), ("x-signature", "sha256=01")]));
        assert!(!of(&[&both[..], &[("webhook-id", "n")]].concat()));
    }

    #[test]
    fn a_message_is_known_again_by_its_id_its_event_or_what_it_says() {
        let key = |message: &serde_json::Value, standard: Option<&str>| {
            let body = message.to_string();
            key_of(&PaymentMessage::read(&body), standard, body.as_bytes())
        };
        let (payment, refund) = (PaymentId::generate(), RefundId::generate());
        let bare = json!({"payment_id": payment, "order_id": OrderId::generate(), "status": "REFUNDED"});
        let with = |name: &str, value: serde_json::Value| {
            let mut message = bare.clone();
            message[name] = value;
            message
        };
        let event = with("event_id", json!("e-1"));
        assert_eq!(key(&event, Some("m-1")), "webhook:m-1");
        assert_eq!(key(&event, None), "event:e-1");
        assert_eq!(key(&bare, None), format!("payment:{payment}:REFUNDED"));
        assert_eq!(
            key(&with("refund_id", json!(refund)), None),
            format!("payment:{payment}:REFUNDED:{refund}")
        );
        let (broken, other) = (with("status", json!("?")), with("status", json!("??")));
        assert!(key(&broken, None).starts_with("body:") && key(&broken, None) != key(&other, None));
        for strange in ["a\u{0}b", "ü", "a b", &"e".repeat(200)] {
            let key = key(&with("event_id", json!(strange)), None);
            assert!(key.starts_with("event:sha256:") && key.len() < 200, "{key}");
        }
    }
}
