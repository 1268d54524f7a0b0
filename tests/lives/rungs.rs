//! The alert ladder of an order that nobody answers.

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Device, StoreKind, TestApp, order_body, seq};
use crate::{guests, s, seen, taken};

crate::on_both_stores!(
    each_rung_is_taken_at_its_time_and_the_order_is_cancelled_at_its_deadline,
    an_order_that_a_device_has_acknowledged_is_not_passed_on_as_undelivered,
    the_first_answer_ends_the_rings_and_every_rung_that_has_not_been_taken,
    an_order_of_a_member_rings_and_is_neither_passed_on_nor_cancelled,
    a_ring_reaches_the_devices_of_the_business,
    ten_orders_of_a_minute_are_one_call,
);

const RUNGS: [&str; 5] = ["ring", "undelivered", "mail", "escalate", "call"];

fn counts(app: &TestApp) -> [u64; 5] {
    RUNGS.map(|rung| taken(app, rung))
}

async fn each_rung_is_taken_at_its_time_and_the_order_is_cancelled_at_its_deadline(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let order = zoe.order(&app, &business).await;
    assert!(order["deadline_at"].is_string(), "{order}");
    let placed = app.numbers("SELECT placed_at FROM orders").await[0].unwrap();
    let placed = Timestamp::from_micros(placed);
    // Some seconds before and after each, which a slow machine may take for a step.
    for (until, rings, expected) in [
        (1, 0..=0, [0, 0, 0, 0]),
        (6, 1..=1, [1, 0, 0, 0]),
        (10, 1..=1, [1, 0, 0, 0]),
        (16, 2..=2, [1, 0, 0, 0]),
        (21, 2..=2, [1, 1, 0, 0]),
        (50, 4..=4, [1, 1, 0, 0]),
        (64, 5..=5, [1, 1, 1, 1]),
        // Each ring is some milliseconds late, and the next one follows it.
        (470, 30..=32, [1, 1, 1, 1]),
    ] {
        app.advance(placed.plus(s(until)).since(app.timers().now())).await;
        let [rung, passed @ ..] = counts(&app);
        assert!(rings.contains(&rung), "{rung} rings {until} s after it was placed");
        assert_eq!(passed, expected, "{until} s after it was placed");
    }
    assert_eq!(seen(&app, &zoe, &order).await["status"], "placed");
    app.advance(s(15)).await;
    let order = seen(&app, &zoe, &order).await;
    assert_eq!(
        (&order["status"], &order["ended_reason"]["code"]),
        (&json!("cancelled"), &json!("unanswered"))
    );
    assert_eq!(order["deadline_at"], Value::Null);
    assert_eq!(app.metrics().orders_unanswered_total.get(), 1);
    assert_eq!(app.timers().sagas(), 0, "nothing of the order is left in memory");
    let until_its_end = counts(&app);
    app.advance(s(600)).await;
    assert_eq!(counts(&app), until_its_end, "an order that has ended does not ring");
}

async fn an_order_that_a_device_has_acknowledged_is_not_passed_on_as_undelivered(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut device, event, _, _) = Device::with_an_order(&app, "till").await;
    device.send(json!({"type": "ack", "room": event["room"], "cursor": event["cursor"]})).await;
    assert_eq!(app.stored_acks(event["room"].as_str().unwrap()).await[0].1, seq(&event) as i64);
    app.advance(s(50)).await;
    assert_eq!(counts(&app), [3, 0, 0, 0, 0]);
    app.advance(s(14)).await;
    assert_eq!(counts(&app), [4, 0, 0, 1, 0], "delivered and unanswered");
    let used = "SELECT COUNT(*) FROM intents WHERE rung = 'escalate'";
    assert_eq!(app.numbers(used).await, [Some(3)], "every channel");
    device.close().await;
}

async fn the_first_answer_ends_the_rings_and_every_rung_that_has_not_been_taken(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let order = zoe.order(&app, &business).await;
    app.advance(s(31)).await;
    assert_eq!(counts(&app), [3, 1, 1, 0, 0]);
    merchant.move_order(&app, &order, "accepted").await;
    app.advance(s(600)).await;
    assert_eq!(counts(&app), [3, 1, 1, 0, 0]);
    assert_eq!(seen(&app, &zoe, &order).await["status"], "accepted");
    assert_eq!(app.metrics().order_answer_seconds.get_sample_count(), 1);
    let waited = app.metrics().order_answer_seconds.get_sample_sum();
    assert!((31.0..60.0).contains(&waited), "{waited}");
}

async fn an_order_of_a_member_rings_and_is_neither_passed_on_nor_cancelled(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut body = order_body(&business);
    (body["fulfilment"], body["table"]) = (json!("dine_in"), json!(4));
    let order = merchant.post(&app, "/orders", &body).await.expect(201).json();
    app.advance(s(600)).await;
    let [rings, passed @ ..] = counts(&app);
    // Each ring is some milliseconds late, and the next one follows it.
    assert!((37..=40).contains(&rings), "{rings}");
    assert_eq!(passed, [0; 4]);
    assert_eq!(seen(&app, &merchant, &order).await["status"], "placed");
    assert_eq!(app.metrics().orders_unanswered_total.get(), 0);
}

async fn a_ring_reaches_the_devices_of_the_business(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut device, event, _, business) = Device::with_an_order(&app, "till").await;
    app.advance(s(31)).await;
    for (ring, after_s) in [(1, 5), (2, 15), (3, 30)] {
        let frame = device.next().await;
        assert_eq!((&frame["type"], &frame["event"]["type"]), (&json!("ephemeral"), &json!("order_ring")));
        assert_eq!(frame["room"], format!("business:{business}"));
        let data = &frame["event"]["data"];
        assert_eq!((&data["kind"], &data["ring"]), (&json!("placed"), &json!(ring)), "{frame}");
        assert_eq!(data["order_id"], event["event"]["data"]["order_id"]);
        let remaining = data["remaining_ms"].as_u64().unwrap();
        assert!(remaining <= 480_000 - after_s * 1000, "{frame}");
    }
    device.close().await;
}

async fn ten_orders_of_a_minute_are_one_call(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    for guest in guests(&app).await {
        guest.order(&app, &business).await;
        app.advance(s(5)).await;
    }
    app.advance(s(60)).await;
    let calls = app.numbers("SELECT waiting FROM intents WHERE channel = 'telephone'").await;
    assert_eq!(calls, [Some(10)]);
    let open = "SELECT COUNT(*) FROM intents WHERE state <> 'not_configured'";
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(5));
    let ended = async {
        while app.numbers(open).await != [Some(0)] {
            looks.tick().await;
        }
    };
    tokio::time::timeout(s(20), ended).await.expect("a channel that is not configured ends its intents");
    let telephone = app.metrics().intents_total.with_label_values(&["telephone", "not_configured"]).get();
    assert_eq!(telephone, 1);
}
