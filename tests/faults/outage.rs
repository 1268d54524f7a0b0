//! What still works while the database says nothing, and that it comes back by itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::{text, until_placed};
use crate::support::{Answer, Device, NetworkFault, Person, Proxy, TestApp, order_body};

/// What is answered from memory does not wait for anybody; the rest is room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(4);

/// The deadline of a write, 5 s, and what the way there and back may take on a busy machine.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// The promise is 5 s; a busy machine takes longer.
const RESUMES_WITHIN: Duration = Duration::from_secs(15);

fn is_stale(answer: &Answer) -> bool {
    let said = answer.headers.get("cache-status").map(|value| value.to_str().unwrap());
    said.is_some_and(|text| text.starts_with("bellhop; hit; ttl=-") && text.ends_with("; detail=stale"))
}

/// What the health check says about reads: `pass` or `refused`.
async fn until_reads(app: &TestApp, wanted: &str) -> Value {
    let mut polls = tokio::time::interval(Duration::from_millis(100));
    let wait = async {
        loop {
            polls.tick().await;
            let health = Answer::of(app.http.get(app.url("/health/detailed"))).await.expect(200).json();
            if health["checks"]["database"]["details"]["reads"] == wanted {
                return health;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("reads do not come to {wanted}"))
}

async fn order_once(app: &TestApp, customer: &Person, business: &str, key: &str) -> (Answer, Duration) {
    let asked = Instant::now();
    let request = customer.request(app, Method::POST, "/orders").header("idempotency-key", key);
    (Answer::of(request.json(&order_body(business))).await, asked.elapsed())
}

fn refused(answer: Answer) {
    assert!(answer.expect(503).headers.contains_key("retry-after"));
}

/// Postgres says nothing for as long as everything takes to be looked at, and for `lasts` at least.
pub(crate) async fn an_outage_of(lasts: Duration, proxy: &Proxy, app: &TestApp) {
    let merchant = app.person("merchant", "Mia").await;
    let customer = app.person("customer", "Carl").await;
    let stranger = app.person("merchant", "Stan").await;
    let mut signed_out = merchant.clone();
    signed_out.sign_in(app, None).await;
    signed_out.post(app, "/auth/logout", &json!({})).await.expect(204);
    let business = merchant.business(app).await;
    let order = customer.order(app, &business).await;
    let room = format!("order:{}", text(&order, "id"));
    let order = format!("/orders/{}", text(&order, "id"));
    let mut device = Device::of_business(app, &merchant, &business, None).await;
    let reads = [
        (&merchant, order.clone()),
        (&customer, order.clone()),
        (&customer, "/orders".to_owned()),
        (&merchant, format!("/orders?business_id={business}")),
        (&customer, format!("/businesses/{business}")),
        (&customer, format!("/businesses/{business}/menu")),
        (&merchant, format!("/businesses/{business}/stats")),
    ];
    for (who, path) in &reads {
        let answer = who.get(app, path).await.expect(200);
        assert!(!answer.headers.contains_key("cache-status"), "{path} is not stale");
    }
    let placed = format!("/orders?business_id={business}&status=placed");
    merchant.get(app, &placed).await.expect(200);

    proxy.set(NetworkFault::Stalled);
    let began = Instant::now();
    let failed = &app.metrics().order_creation_errors_total;
    assert_eq!(failed.get(), 0);
    let (answer, first_refusal) = order_once(app, &customer, &business, "during").await;
    refused(answer);
    assert_eq!(failed.get(), 1);
    assert!(first_refusal < WRITE_WITHIN, "{first_refusal:?}");
    let health = until_reads(app, "refused").await;
    let opened = began.elapsed();
    assert_eq!(
        (&health["status"], &health["checks"]["database"]["status"]),
        (&"degraded".into(), &"unhealthy".into())
    );

    let mut slowest_copy = Duration::ZERO;
    for (who, path) in &reads {
        let asked = Instant::now();
        let answer = who.get(app, path).await.expect(200);
        slowest_copy = slowest_copy.max(asked.elapsed());
        assert!(is_stale(&answer), "{path}: {:?}", answer.headers);
    }
    assert!(slowest_copy < AT_ONCE, "{slowest_copy:?}");
    refused(merchant.get(app, &placed).await);
    refused(stranger.get(app, &order).await);
    signed_out.get(app, &order).await.expect(401);
    device.send(json!({"type": "subscribe", "room": room})).await;
    let answer = device.next_numbered().await;
    assert_eq!((&answer["type"], &answer["code"]), (&"error".into(), &"unavailable".into()), "{answer}");
    let get = async |path: &str| Answer::of(app.http.get(app.url(path))).await;
    get("/health/live").await.expect(200);
    let ready = get("/health/ready").await.expect(200).json();
    assert_eq!((&ready["status"], &ready["database"]), (&"ready".into(), &"unhealthy".into()));
    assert!(get("/metrics").await.text.contains("database_circuit_open 1"));

    let mut slowest_refusal = first_refusal;
    let mut paces = tokio::time::interval(Duration::from_millis(100));
    loop {
        let (answer, took) = order_once(app, &customer, &business, "during").await;
        refused(answer);
        slowest_refusal = slowest_refusal.max(took);
        device.settle().await;
        if began.elapsed() >= lasts {
            break;
        }
        paces.tick().await;
    }
    assert!(slowest_refusal < WRITE_WITHIN, "{slowest_refusal:?}");
    assert_eq!(app.sessions().open(), 1, "the socket stays open");
    let lasted = began.elapsed();

    proxy.set(NetworkFault::None);
    let fair = Instant::now();
    let resumes = until_placed(async || order_once(app, &customer, &business, "during").await.0);
    let order = tokio::time::timeout(PATIENCE, resumes).await.expect("writes resume");
    let resumed = fair.elapsed();
    let event = device.next_numbered().await;
    assert_eq!((&event["type"], &event["event"]["data"]["order_id"]), (&"event".into(), &order["id"]));
    until_reads(app, "pass").await;
    let answer = merchant.get(app, &placed).await.expect(200).json();
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(2));
    for (who, path) in &reads {
        assert!(!is_stale(&who.get(app, path).await.expect(200)), "{path}");
    }
    assert!(get("/metrics").await.text.contains("database_circuit_open 0"));
    device.close().await;
    eprintln!(
        "silent for {lasted:?}: the first 503 after {first_refusal:?}, the slowest {slowest_refusal:?}; reads refused \
         from {opened:?}, the slowest copy {slowest_copy:?}; writes back {resumed:?} after it"
    );
    assert!(resumed < RESUMES_WITHIN, "{resumed:?}");
}

#[tokio::test]
async fn while_postgres_is_silent_copies_answer_marked_stale_and_sockets_stay_and_get_what_follows() {
    // A read that waits for the database takes four seconds, so that none passes for one from memory.
    let settings = [("cache.order_s", "1"), ("cache.business_s", "1"), ("database.acquire_timeout_s", "4")];
    let (proxy, app) = TestApp::start_behind_proxy(&settings).await;
    an_outage_of(Duration::ZERO, &proxy, &app).await;
}

#[tokio::test]
async fn orders_that_are_refused_while_the_database_is_away_spend_nothing_of_their_limit() {
    let settings = [("limits.enabled", "true"), ("limits.orders", "2")];
    let (proxy, app) = TestApp::start_behind_proxy(&settings).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    proxy.set(NetworkFault::Refusing);
    proxy.cut();
    for _ in 0..4 {
        refused(order_once(&app, &customer, &business, "first").await.0);
    }
    proxy.set(NetworkFault::None);
    until_reads(&app, "pass").await;
    let placed = until_placed(async || order_once(&app, &customer, &business, "first").await.0);
    tokio::time::timeout(RESUMES_WITHIN, placed).await.expect("writes resume");
    order_once(&app, &customer, &business, "second").await.0.expect(201);
    let third = order_once(&app, &customer, &business, "third").await.0;
    third.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_hub_that_was_told_so_is_not_ready_while_its_database_is_away_and_is_alive_all_the_same() {
    let (proxy, app) = TestApp::start_behind_proxy(&[("health.database_gates_ready", "true")]).await;
    let get = async |path: &str| Answer::of(app.http.get(app.url(path))).await;
    get("/health/ready").await.expect(200);
    proxy.set(NetworkFault::Refusing);
    // The answer may be a second old.
    let mut polls = tokio::time::interval(Duration::from_millis(50));
    let told = async {
        loop {
            let ready = get("/health/ready").await;
            if ready.status == 503 {
                return ready.json();
            }
            polls.tick().await;
        }
    };
    let ready = tokio::time::timeout(Duration::from_secs(20), told).await.expect("readiness tells of it");
    assert_eq!((&ready["status"], &ready["database"]), (&"not_ready".into(), &"unhealthy".into()));
    get("/health").await.expect(200);
    get("/health/live").await.expect(200);
    proxy.set(NetworkFault::None);
    let back = async {
        let mut polls = tokio::time::interval(Duration::from_millis(20));
        while get("/health/ready").await.status != 200 {
            polls.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("it is ready again by itself");
}

#[tokio::test]
async fn what_a_device_acknowledged_before_it_left_in_an_outage_is_stored_when_that_is_over() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let (mut device, seen, customer, business) = Device::with_an_order(&app, "till-1").await;
    proxy.set(NetworkFault::Stalled);
    device.send(json!({"type": "ack", "room": seen["room"], "cursor": seen["cursor"]})).await;
    device.close().await;
    let gone = async {
        let mut polls = tokio::time::interval(Duration::from_millis(5));
        while app.sessions().open() > 0 {
            polls.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("its session ends");
    // Nobody waits for the outcome any more when the writer is told that it has none.
    proxy.set(NetworkFault::Refusing);
    refused(customer.post(&app, "/orders", &order_body(&business)).await);
    proxy.set(NetworkFault::None);
    assert_eq!(app.stored_acks(&text(&seen, "room")).await, [("till-1".to_owned(), 1)]);
}
