//! How often who may ask for what.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Device, PASSWORD, StoreKind, TestApp, order_body};
use crate::{anonymous, header, login};

const ON: (&str, &str) = ("limits.enabled", "true");

#[tokio::test]
async fn sign_ins_are_limited_by_address_and_told_when_to_come_back() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.auth", "2")]).await;
    let body = json!({"email": "zoe@example.com", "password": PASSWORD});
    let first = anonymous(&app, "/auth/signup", &body).await.expect(201);
    assert_eq!(header(&first, "ratelimit"), "\"auth\";r=1;t=300");
    let policy = "\"auth\";q=2;w=300, \"auth-network\";q=16;w=300";
    assert_eq!(header(&first, "ratelimit-policy"), policy);
    anonymous(&app, "/auth/login", &login("zoe@example.com", PASSWORD)).await.expect(200);
    // However the path is written.
    for path in ["/auth/login", "/auth/l%6Fgin", "/auth/login/"] {
        let refused = anonymous(&app, path, &login("zoe@example.com", PASSWORD)).await;
        let wait: u32 = header(&refused, "retry-after").parse().unwrap();
        assert!((270..=300).contains(&wait), "{wait}");
        assert_eq!(header(&refused, "ratelimit"), format!("\"auth\";r=0;t={wait}"));
        refused.expect_problem(429, "too_many_requests");
    }
    Answer::of(app.http.get(app.url("/health"))).await.expect(200);
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_to_the_next() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.auth", "1")]).await;
    let body = login("zoe@example.com", PASSWORD).to_string();
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    for status in ["401", "429", "429"] {
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed before the {status}");
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn orders_are_limited_by_user_and_neither_replays_nor_other_requests_spend_them() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.orders", "2")]).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let keyed = |key: &str| {
        let mut body = order_body(&business);
        body["client_token"] = json!(key);
        body
    };
    let first = zoe.post(&app, "/orders", &keyed("one")).await.expect(201);
    assert_eq!(header(&first, "ratelimit"), "\"orders\";r=1;t=60");
    for _ in 0..5 {
        let replayed = zoe.post(&app, "/orders", &keyed("one")).await.expect(201);
        assert_eq!(header(&replayed, "idempotency-replayed"), "true");
        zoe.get(&app, "/orders").await.expect(200);
    }
    zoe.post(&app, "/orders", &json!({"nonsense": 1})).await.expect_problem(422, "invalid");
    let refused = zoe.post(&app, "/orders", &keyed("two")).await;
    assert_ne!(header(&refused, "retry-after"), "");
    refused.expect_problem(429, "too_many_requests");
    zoe.post(&app, "/orders", &json!({"nonsense": 1})).await.expect_problem(429, "too_many_requests");
    zoe.post(&app, "/orders", &keyed("one")).await.expect(201);
    let mut other = keyed("one");
    other["notes"] = json!("another order");
    zoe.post(&app, "/orders", &other).await.expect_problem(422, "idempotency_mismatch");
    app.person("customer", "Yan").await.order(&app, &business).await;
}

#[tokio::test]
async fn a_key_taken_for_another_order_spends_one_like_an_order() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.orders", "3")]).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let mut body = order_body(&business);
    body["client_token"] = json!("one");
    zoe.post(&app, "/orders", &body).await.expect(201);
    for n in 0..2 {
        body["notes"] = json!(format!("another order {n}"));
        zoe.post(&app, "/orders", &body).await.expect_problem(422, "idempotency_mismatch");
    }
    zoe.post(&app, "/orders", &order_body(&business)).await.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn what_will_be_refused_anyway_is_not_free() {
    let settings = [ON, ("limits.public", "3"), ("limits.api", "3")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let driver = app.person("driver", "Dan").await;
    let mut refused = Vec::new();
    for _ in 0..4 {
        refused.push(driver.post(&app, "/orders", &json!({})).await.status.as_u16());
    }
    assert_eq!(refused, [403, 403, 403, 429]);
    let mut unreadable = Vec::new();
    for body in
        [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": "rt_x", "more": 1}), json!({})]
    {
        unreadable.push(anonymous(&app, "/auth/refresh", &body).await.status.as_u16());
    }
    assert_eq!(unreadable, [422, 422, 422, 429]);
}

#[tokio::test]
async fn an_encoding_that_nobody_knows_is_answered_plainly_and_not_for_free() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.public", "1")]).await;
    let ask = || app.http.get(app.url("/api/v1/nowhere")).header("accept-encoding", "identity;q=0, zz");
    Answer::of(ask()).await.expect_problem(404, "not_found");
    Answer::of(ask()).await.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_member_spends_an_order_before_the_business_is_looked_up() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.orders", "1")]).await;
    let (owner, other) = (app.person("merchant", "Olga").await, app.person("merchant", "Otto").await);
    let business = owner.business(&app).await;
    other.post(&app, "/orders", &order_body(&business)).await.expect_problem(404, "not_found");
    other.post(&app, "/orders", &order_body(&business)).await.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn placing_orders_spends_nothing_of_the_rest() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.api", "12")]).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    for _ in 0..5 {
        zoe.order(&app, &business).await;
    }
    let list = zoe.get(&app, "/orders").await.expect(200);
    assert!(header(&list, "ratelimit").starts_with("\"api\";r=11;"), "{}", header(&list, "ratelimit"));
}

#[tokio::test]
async fn refreshes_are_limited_by_sign_in() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.refresh", "1")]).await;
    let (zoe, yan) = (app.person("customer", "Zoe").await, app.person("customer", "Yan").await);
    let refresh =
        async |token: &str| anonymous(&app, "/auth/refresh", &json!({"refresh_token": token})).await;
    refresh(&zoe.refresh_token).await.expect(200);
    refresh(&zoe.refresh_token).await.expect_problem(429, "too_many_requests");
    refresh(&yan.refresh_token).await.expect(200);
}

#[tokio::test]
async fn who_is_not_signed_in_has_the_quota_of_an_address_on_every_door() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.public", "3")]).await;
    let zoe = app.person("customer", "Zoe").await;
    let nobody = async || Answer::of(app.http.get(app.url("/api/v1/orders"))).await;
    nobody().await.expect_problem(401, "unauthenticated");
    let path = format!("/ws/notifications/{}", bellhop::domain::ids::BusinessId::generate());
    let dial = async |token| Device::dial(&app, token, &path, &[]).await.err().unwrap().status().as_u16();
    assert_eq!(dial(Some("nonsense")).await, 401);
    anonymous(&app, "/auth/refresh", &json!({"refresh_token": "rt_forged"})).await.expect(401);
    nobody().await.expect_problem(429, "too_many_requests");
    assert_eq!(dial(None).await, 429);
    anonymous(&app, "/auth/refresh", &json!({"refresh_token": "rt_forged"})).await.expect(429);
    zoe.get(&app, "/orders").await.expect(200);
}

#[tokio::test]
async fn upgrades_that_are_refused_spend_the_quota_of_the_address_and_make_no_series_of_their_own() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.public", "3")]).await;
    let mut answers = Vec::new();
    for n in 0..5 {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let request = format!(
            "MADE-UP-{n} /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answers.push(answer[9..12].to_owned());
    }
    assert_eq!(answers, ["404", "404", "404", "429", "429"]);
    let metrics = Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text;
    assert!(
        metrics.contains(r#"http_requests_total{endpoint="unmatched",method="other",status="404"} 3"#),
        "{metrics}"
    );
    assert!(!metrics.contains("MADE-UP"), "{metrics}");
}

#[tokio::test]
async fn a_ticket_that_was_used_spends_the_quota_of_its_holder() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.api", "6")]).await;
    let merchant = app.person("merchant", "Olga").await;
    let business = merchant.business(&app).await;
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let path = format!("/ws/notifications/{business}?ticket={}", ticket["ticket"].as_str().unwrap());
    let _open = Device::dial(&app, None, &path, &[]).await.expect("the first time");
    let mut again = Vec::new();
    for _ in 0..6 {
        again.push(Device::dial(&app, None, &path, &[]).await.err().unwrap().status().as_u16());
    }
    again.dedup();
    assert_eq!(again, [401, 429]);
}

#[tokio::test]
async fn an_operator_gives_everybody_their_limits_back() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.orders", "1")]).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    zoe.order(&app, &business).await;
    zoe.post(&app, "/orders", &order_body(&business)).await.expect(429);
    zoe.delete(&app, "/admin/rate-limits").await.expect_problem(403, "forbidden");
    let operator = app.operator("Ada").await;
    operator.delete(&app, "/admin/rate-limits").await.expect(204);
    zoe.order(&app, &business).await;
}
