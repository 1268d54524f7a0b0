//! An order happens once however often it is sent.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::{each, fields, header, with};

crate::on_both_stores!(
    a_hundred_parallel_orders_with_one_key_make_one_order_and_a_hundred_equal_answers,
    the_first_answer_is_given_again_byte_for_byte_even_after_the_order_moved_and_the_hub_restarted,
    a_key_means_the_same_in_the_header_and_in_the_body,
    a_key_of_another_request_is_refused,
    a_key_belongs_to_one_user,
    a_refused_request_frees_its_key,
);

async fn send(app: &TestApp, who: &Person, key: &str, body: &Value) -> Answer {
    Answer::of(who.request(app, Method::POST, "/orders").header("idempotency-key", key).json(body)).await
}

async fn orders_of(app: &TestApp, who: &Person) -> usize {
    each(&who.get(app, "/orders?limit=50").await.expect(200).json(), "id").len()
}

async fn a_hundred_parallel_orders_with_one_key_make_one_order_and_a_hundred_equal_answers(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let body = order_body(&merchant.business(&app).await);
    let all = futures_util::future::join_all((0..100).map(|_| send(&app, &zoe, "one key", &body)));
    // The first try shows that a key with a space is none.
    for refused in all.await {
        assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["Idempotency-Key"]);
    }
    let all = futures_util::future::join_all((0..100).map(|_| send(&app, &zoe, "one-key", &body))).await;
    let mut answers = BTreeSet::new();
    let mut replayed = 0;
    for answer in all {
        let answer = answer.expect(201);
        replayed += usize::from(header(&answer, "idempotency-replayed") == "true");
        let heads = ["location", "etag", "content-type"].map(|name| header(&answer, name).to_owned());
        answers.insert((answer.text, heads));
    }
    assert_eq!((answers.len(), replayed), (1, 99));
    assert_eq!(orders_of(&app, &zoe).await, 1);
    assert_eq!(app.metrics().orders_created_total.get(), 1);
}

async fn the_first_answer_is_given_again_byte_for_byte_even_after_the_order_moved_and_the_hub_restarted(
    kind: StoreKind,
) {
    let mut app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let body = order_body(&merchant.business(&app).await);
    let first = send(&app, &zoe, "k", &body).await.expect(201);
    assert_eq!(header(&first, "idempotency-replayed"), "");
    merchant.move_order(&app, &first.json(), "accepted").await;
    app.restart().await;
    let spaced = serde_json::to_string_pretty(&body).unwrap();
    let request = zoe.request(&app, Method::POST, "/orders").header("idempotency-key", "k");
    let again = Answer::of(request.header("content-type", "application/json").body(spaced)).await.expect(201);
    assert_eq!(again.text, first.text);
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(header(&again, "location"), header(&first, "location"));
}

async fn a_key_means_the_same_in_the_header_and_in_the_body(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let body = order_body(&merchant.business(&app).await);
    let in_body = with(body.clone(), json!({"client_token": "k"}));
    let first = send(&app, &zoe, "k", &body).await.expect(201);
    for again in [zoe.post(&app, "/orders", &in_body).await, send(&app, &zoe, "k", &in_body).await] {
        assert_eq!(again.expect(201).text, first.text);
    }
    let different = send(&app, &zoe, "other", &in_body).await.expect_problem(422, "invalid");
    assert_eq!(fields(&different), ["client_token"]);
    assert_eq!(orders_of(&app, &zoe).await, 1);
}

async fn a_key_of_another_request_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let body = order_body(&merchant.business(&app).await);
    send(&app, &zoe, "k", &body).await.expect(201);
    let other = with(body, json!({"notes": "more"}));
    send(&app, &zoe, "k", &other).await.expect_problem(422, "idempotency_mismatch");
    assert_eq!(orders_of(&app, &zoe).await, 1);
}

async fn a_key_belongs_to_one_user(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let body = order_body(&merchant.business(&app).await);
    let mut orders = BTreeSet::new();
    for name in ["Zoe", "Ana"] {
        let customer = app.person("customer", name).await;
        let order = send(&app, &customer, "k", &body).await.expect(201).json();
        orders.insert(order["id"].to_string());
    }
    assert_eq!(orders.len(), 2);
}

async fn a_refused_request_frees_its_key(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let body = order_body(&merchant.business(&app).await);
    let unknown = with(body.clone(), json!({"items": [{"sku": "caviar", "qty": 1}]}));
    send(&app, &zoe, "k", &unknown).await.expect_problem(422, "invalid");
    send(&app, &zoe, "k", &body).await.expect(201);
}
