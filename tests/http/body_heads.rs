//! Bodies: judged by their heads, bounded while they arrive, and not asked for when nobody may send them.

use std::time::Duration;

use serde_json::json;

use crate::connections::order;
use crate::support::{Answer, Person, StoreKind, TestApp, Wire, order_body};

#[tokio::test]
async fn a_body_is_judged_by_its_head_and_asked_for_only_when_it_is_wanted() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let post = |path: &str, bearer: &str, length: usize| {
        format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n{bearer}\
             content-length: {length}\r\n\r\n"
        )
    };
    let bearer = |person: &Person| format!("authorization: Bearer {}\r\n", person.token);
    let notifications = format!("/businesses/{business}/notifications");
    for (path, bearer, length) in [
        ("/auth/refresh", String::new(), 2049),
        ("/auth/login", String::new(), 4097),
        ("/auth/signup", String::new(), 4097),
        ("/orders", bearer(&zoe), 65_537),
        ("/businesses", bearer(&olga), 16_385),
        (notifications.as_str(), bearer(&olga), 32_769),
    ] {
        let mut wire = Wire::open(app.address).await;
        wire.send(&post(path, &bearer, length)).await;
        wire.answer().await.expect_problem(413, "too_large");
    }
    let mut nobody = Wire::open(app.address).await;
    nobody.send(&post("/orders", "", 100)).await;
    nobody.answer().await.expect_problem(401, "unauthenticated");
    assert_eq!(nobody.rest().await, "", "no body will come");
    let body = order_body(&business).to_string();
    let mut wire = Wire::open(app.address).await;
    for _ in 0..2 {
        wire.send(&post("/orders", &bearer(&zoe), body.len())).await;
        assert_eq!(wire.answer().await.head, "http/1.1 100 continue\r\n\r\n");
        wire.send(&body).await;
        assert_eq!(wire.answer().await.status(), 201);
    }
}

#[tokio::test]
async fn chunked_bodies_pass_whole_are_bounded_and_end_where_they_end() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        zoe.token
    );
    let body = order_body(&business).to_string();
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let mut wire = Wire::open(app.address).await;
    let (one, two) = body.split_at(20);
    let whole = [chunk(one), chunk(two), "0\r\n\r\n".to_owned()].concat();
    wire.send(&[&head, &whole, "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"].concat()).await;
    assert_eq!(wire.answer().await.status(), 201);
    assert_eq!(wire.answer().await.status(), 200);
    wire.send(&head).await;
    for byte in whole.as_bytes().chunks(7) {
        wire.send(std::str::from_utf8(byte).unwrap()).await;
    }
    assert_eq!(wire.answer().await.status(), 201);
    wire.send(&[head.as_str(), &chunk(&body), "nonsense\r\n"].concat()).await;
    wire.answer().await.expect_problem(400, "malformed");
    assert_eq!(wire.rest().await, "");
    let mut large = Wire::open(app.address).await;
    large.send(&head).await;
    for _ in 0..70 {
        large.send(&chunk(&" ".repeat(1000))).await;
    }
    large.answer().await.expect_problem(413, "too_large");
}

#[tokio::test]
async fn an_address_without_quota_is_refused_before_the_body_of_a_refresh_and_a_right_token_costs_it_nothing()
{
    let app =
        TestApp::start_with(StoreKind::Sqlite, &[("limits.enabled", "true"), ("limits.public", "1")]).await;
    let mut zoe = app.person("customer", "Zoe").await;
    for _ in 0..3 {
        let body = json!({"refresh_token": zoe.refresh_token});
        let answer =
            Answer::of(app.http.post(app.url("/api/v1/auth/refresh")).json(&body)).await.expect(200).json();
        zoe.refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
    }
    let head = "POST /api/v1/auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    let mut first = Wire::open(app.address).await;
    first.send(head).await;
    // Its quota is spent once its body is waited for; a request behind it on the same worker would be too early.
    let second = async {
        loop {
            let mut wire = Wire::open(app.address).await;
            wire.send(&head.replace("1000", "5000")).await;
            let answer = wire.answer().await;
            match answer.status() {
                413 => tokio::time::sleep(Duration::from_millis(5)).await,
                _ => break answer,
            }
        }
    };
    let second = tokio::time::timeout(Duration::from_secs(20), second).await;
    second.expect("its address pays before its body is read").expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn who_has_neither_an_order_nor_a_request_left_is_not_asked_for_the_body_of_an_order() {
    let settings = [("limits.enabled", "true"), ("limits.orders", "1"), ("limits.api", "3")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let zoe = app.person("customer", "Zoe").await;
    let business = app.person("merchant", "Olga").await.business(&app).await;
    let ask = async || {
        let mut wire = Wire::open(app.address).await;
        let head = order(&zoe, &business, "expect: 100-continue\r\n");
        wire.send(head.split_inclusive("\r\n\r\n").next().unwrap()).await;
        wire.answer().await
    };
    zoe.order(&app, &business).await;
    assert_eq!(ask().await.status(), 100, "it may be a repetition");
    while zoe.get(&app, "/orders").await.status == 200 {}
    ask().await.expect_problem(429, "too_many_requests");
}
