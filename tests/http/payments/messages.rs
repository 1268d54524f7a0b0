//! Messages of the provider as they come in: signatures, repetitions, limits, and a store that is away.

use base64::Engine as _;
use bellhop::domain::ids::{OrderId, PaymentId};
use bellhop::domain::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Shop, WEBHOOK_SECRET, message, of, sign, simulated, unsigned};
use crate::header;
use crate::support::{Answer, NetworkFault, StoreKind, TestApp};

crate::on_both_stores!(
    a_message_counts_once_however_often_and_in_whatever_form_it_comes,
    a_message_that_nobody_signed_is_refused_and_leaves_nothing,
    a_message_is_signed_by_any_of_the_secrets_in_either_form,
    a_body_that_says_nothing_is_taken_and_lies_before_an_operator,
);

async fn stored(app: &TestApp) -> i64 {
    app.numbers("SELECT COUNT(*) FROM payment_messages").await[0].unwrap()
}

/// As Standard Webhooks signs it, at a time of so many seconds from now.
fn standard(app: &TestApp, secret: &[u8], id: &str, shift: i64, body: &str) -> RequestBuilder {
    let at = (Timestamp::now().unix_seconds() + shift).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    unsigned(app, body.to_owned())
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,{signature}"))
}

async fn a_message_counts_once_however_often_and_in_whatever_form_it_comes(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let receipt = |answer: Answer| answer.expect(200).json()["receipt"].clone();
    let success = json!({"status": "SUCCESS", "event_id": "evt-1"});
    let all = futures_util::future::join_all((0..20).map(|_| shop.tell(&payment, success.clone()))).await;
    let taken = all.into_iter().map(receipt).filter(|receipt| receipt == "taken").count();
    assert_eq!(taken, 1);
    shop.until(&order, |order| order["status"] == "placed").await;
    // The same once more under another id of the provider changes nothing either.
    assert_eq!(
        receipt(shop.tell(&payment, json!({"status": "SUCCESS", "event_id": "evt-2"})).await),
        "taken"
    );
    assert_eq!(receipt(shop.tell(&payment, json!({"status": "SUCCESS"})).await), "taken");
    assert_eq!(
        receipt(shop.tell(&payment, json!({"status": "SUCCESS", "amount_minor": 250})).await),
        "repeated"
    );
    let body = of(&payment, json!({"status": "SUCCESS"})).to_string();
    for expected in ["taken", "repeated"] {
        let request = standard(&shop.app, WEBHOOK_SECRET.as_bytes(), "msg_1", 0, &body);
        assert_eq!(receipt(Answer::of(request).await), expected);
    }
    assert_eq!(stored(&shop.app).await, 4);
    assert_eq!(shop.kept().await, 250);
    assert_eq!(shop.app.numbers("SELECT COUNT(*) FROM refunds").await, [Some(0)]);
}

async fn a_message_that_nobody_signed_is_refused_and_leaves_nothing(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let body = of(&payment, json!({"status": "SUCCESS"})).to_string();
    let app = &shop.app;
    let other = of(&payment, json!({"status": "SUCCESS", "amount_minor": 1})).to_string();
    let signature = sign(WEBHOOK_SECRET, &body);
    let key = WEBHOOK_SECRET.as_bytes();
    let forged = [
        unsigned(app, body.clone()),
        unsigned(app, body.clone()).header("x-signature", "sha256="),
        unsigned(app, body.clone()).header("x-signature", sign("another secret of a stranger", &body)),
        unsigned(app, other).header("x-signature", signature.clone()),
        unsigned(app, body.clone())
            .header("x-signature", signature.clone())
            .header("x-signature", "sha256=00"),
        unsigned(app, body.clone()).header("x-signature", signature).header("webhook-signature", "v1,x"),
        unsigned(app, body.clone()).bearer_auth(&shop.operator.token),
        // Farther than the five minutes and what a slow machine takes to send those before.
        standard(app, key, "m", 400, &body),
        standard(app, key, "m", -400, &body),
        standard(app, b"another secret of a stranger", "m", 0, &body),
        standard(app, key, "m", 0, &body).header("webhook-id", "n"),
    ];
    for request in forged {
        let answer = Answer::of(request).await;
        assert_eq!(header(&answer, "www-authenticate"), "", "no token opens this");
        answer.expect_problem(401, "bad_signature");
    }
    assert_eq!(stored(app).await, 0);
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
    let counted = &app.metrics().security_events_total;
    assert_eq!(counted.with_label_values(&["bad_webhook_signature"]).get(), 11);
}

async fn a_message_is_signed_by_any_of_the_secrets_in_either_form(kind: StoreKind) {
    // The second is written as Standard Webhooks writes it: its key is what the base64 says.
    let base64 = base64::engine::general_purpose::STANDARD.encode(b"a key of twenty-four bytes");
    let secrets = format!("{WEBHOOK_SECRET},whsec_{base64}");
    let shop = Shop::open_with(kind, &[("payments.webhook_secrets", &secrets)]).await;
    let (order, payment) = shop.open_payment().await;
    let body = |event: &str| of(&payment, json!({"status": "FAILED", "event_id": event})).to_string();
    let app = &shop.app;
    for (event, secret) in [("1", WEBHOOK_SECRET), ("2", secrets.split_once(',').unwrap().1)] {
        let body = body(event);
        Answer::of(unsigned(app, body.clone()).header("x-signature", sign(secret, &body))).await.expect(200);
    }
    for (id, secret) in [("3", WEBHOOK_SECRET.as_bytes()), ("4", b"a key of twenty-four bytes")] {
        for shift in [-290, 290] {
            let id = format!("{id}{shift}");
            Answer::of(standard(app, secret, &id, shift, &body("x"))).await.expect(200);
        }
    }
    assert_eq!(stored(app).await, 6);
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
}

async fn a_body_that_says_nothing_is_taken_and_lies_before_an_operator(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let bodies = ["", "no json", "[]", "{\"payment_id\":1}", "\u{0}", "{\"a\":".repeat(200).as_str()]
        .map(str::to_owned);
    for body in &bodies {
        for expected in ["taken", "repeated"] {
            let request = unsigned(&shop.app, body.clone()).header("x-signature", sign(WEBHOOK_SECRET, body));
            assert_eq!(Answer::of(request).await.expect(200).json()["receipt"], expected, "{body:?}");
        }
    }
    for letter in shop.letters(bodies.len()).await {
        assert_eq!(letter["reason"], "unreadable", "{letter}");
        let path = format!("/admin/dead-letters/{}", super::text(&letter["id"]));
        let read = shop.operator.get(&shop.app, &path).await.expect(200).json();
        assert!(bodies.iter().any(|body| read["body"] == json!(body)), "{read}");
    }
    let binary = [0xff, 0xfe, 0x00];
    let signature = {
        let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
        mac.update(&binary);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let url = shop.app.url("/api/v1/payments/webhook");
    let request = shop.app.http.post(url).body(binary.to_vec());
    Answer::of(request.header("x-signature", format!("sha256={signature}"))).await.expect(200);
    shop.letters(bodies.len() + 1).await;
}

fn about_nobody() -> Value {
    json!({"payment_id": PaymentId::generate(), "order_id": OrderId::generate(), "status": "SUCCESS"})
}

#[tokio::test]
async fn a_forged_message_costs_its_address_and_one_that_has_nothing_left_is_not_read() {
    let limits = [("limits.enabled", "true"), ("limits.public", "3"), ("limits.public_window_s", "600")];
    let app = TestApp::start_with(StoreKind::Sqlite, &[&simulated()[..], &limits].concat()).await;
    // What is genuine costs the address nothing.
    for _ in 0..5 {
        let taken = Answer::of(message(&app, &about_nobody())).await.expect(200);
        assert!(header(&taken, "ratelimit").starts_with("\"webhooks\""), "{}", header(&taken, "ratelimit"));
    }
    for left in [2, 1, 0] {
        let refused = Answer::of(unsigned(&app, about_nobody().to_string())).await;
        assert!(header(&refused, "ratelimit").starts_with(&format!("\"public\";r={left}")));
        refused.expect_problem(401, "bad_signature");
    }
    Answer::of(unsigned(&app, about_nobody().to_string())).await.expect_problem(429, "too_many_requests");
    Answer::of(message(&app, &about_nobody())).await.expect_problem(429, "too_many_requests");
    assert_eq!(stored(&app).await, 5);
}

#[tokio::test]
async fn a_body_that_is_too_large_costs_its_address_as_well() {
    let limits = [("limits.enabled", "true"), ("limits.public", "2"), ("limits.public_window_s", "600")];
    let app = TestApp::start_with(StoreKind::Sqlite, &[&simulated()[..], &limits].concat()).await;
    for _ in 0..2 {
        let body = " ".repeat(64 * 1024 + 1);
        Answer::of(unsigned(&app, body)).await.expect_problem(413, "too_large");
    }
    Answer::of(message(&app, &about_nobody())).await.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_node_takes_as_many_messages_as_it_may_and_the_rest_come_again() {
    let limits = [("limits.enabled", "true"), ("limits.webhooks", "2"), ("limits.webhooks_window_s", "600")];
    let app = TestApp::start_with(StoreKind::Sqlite, &[&simulated()[..], &limits].concat()).await;
    for _ in 0..2 {
        Answer::of(message(&app, &about_nobody())).await.expect(200);
    }
    let refused = Answer::of(message(&app, &about_nobody())).await;
    assert!(!header(&refused, "retry-after").is_empty());
    refused.expect_problem(429, "too_many_requests");
    assert_eq!(stored(&app).await, 2);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_refused_and_taken_when_it_comes_again() {
    let (proxy, app) = TestApp::start_behind_proxy(&simulated()).await;
    let shop = Shop::of(app).await;
    let (order, payment) = shop.open_payment().await;
    proxy.set(NetworkFault::Refusing);
    let refused = shop.tell(&payment, json!({"status": "SUCCESS"})).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(!header(&refused, "retry-after").is_empty());
    proxy.set(NetworkFault::None);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
    let taken = async {
        while shop.tell(&payment, json!({"status": "SUCCESS"})).await.status != 200 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, taken).await.expect("it is taken when the store is back");
    shop.until(&order, |order| order["status"] == "placed").await;
    assert_eq!(shop.app.numbers("SELECT COUNT(*) FROM dead_letters").await, [Some(0)]);
}
