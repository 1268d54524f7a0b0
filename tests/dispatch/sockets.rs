//! What drivers say and hear on sockets, and who sees where they are.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Closed, Device, PATIENCE, Person, StoreKind, TestApp, order_body};

crate::on_both_stores!(
    a_driver_comes_on_is_offered_an_order_nearby_and_is_seen_by_those_who_wait_for_it,
    a_driver_who_loses_an_order_leaves_its_room,
    a_cancelled_order_rings_at_its_driver_until_they_act_and_a_changed_one_once,
);

/// A driver of the zone of every test's business.
async fn driver(app: &TestApp, name: &str) -> Person {
    let driver = app.person("driver", name).await;
    let profile = json!({"zones": ["lisbon"], "vehicle": "car", "capacity": 2});
    driver.patch(app, "/drivers/me", &profile).await.expect(200);
    driver
}

/// An order that drivers bring, ready in a few minutes, so that one is searched for at once.
async fn order(app: &TestApp, customer: &Person, business: &str) -> Value {
    let mut body = order_body(business);
    body["fulfilment"] = json!("delivery");
    body["customer"] = json!({"name": "Carl", "phone": "+351210000000"});
    body["address"] = json!({"text": "Rua 1", "lat": 38.702, "lng": -9.1});
    let request = customer.request(app, Method::POST, "/orders");
    let key = uuid::Uuid::new_v4().to_string();
    Answer::of(request.header("idempotency-key", key).json(&body)).await.expect(201).json()
}

async fn accept(app: &TestApp, merchant: &Person, order: &Value) {
    let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
    let body = json!({
        "status": "accepted", "version": order["version"], "prep_minutes": 5, "delivered_by": "drivers",
    });
    merchant.patch(app, &path, &body).await.expect(200);
}

/// The next event of this type.
async fn event(device: &mut Device, kind: &str) -> Value {
    frame(device, kind).await["event"]["data"].clone()
}

/// The frame with the next event of this type.
async fn frame(device: &mut Device, kind: &str) -> Value {
    loop {
        let frame = device.next().await;
        if frame["event"]["type"] == kind {
            return frame;
        }
    }
}

/// Nothing rings in this time.
async fn is_silent(app: &TestApp, device: &mut Device, seconds: u64) {
    app.advance(Duration::from_secs(seconds)).await;
    device.send(json!({"type": "ping"})).await;
    loop {
        let frame = device.next().await;
        assert_ne!(frame["event"]["type"], "order_ring", "{frame}");
        if frame["type"] == "alive" {
            return;
        }
    }
}

/// Comes on near the business, on a socket of its own.
async fn on(app: &TestApp, driver: &Person) -> Device {
    let mut device = Device::open(app, driver, "/ws/driver").await;
    device.send(json!({"type": "location", "lat": 38.701, "lng": -9.1})).await;
    device.send(json!({"type": "status", "online": true})).await;
    loop {
        let frame = device.next().await;
        if frame["type"] == "status" {
            assert_eq!(frame["online"], true);
            return device;
        }
        assert_ne!(frame["type"], "error", "{frame}");
    }
}

async fn a_driver_comes_on_is_offered_an_order_nearby_and_is_seen_by_those_who_wait_for_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let dora = driver(&app, "Dora").await;
    let mut device = on(&app, &dora).await;
    let order = order(&app, &customer, &business).await;
    let id = order["id"].as_str().unwrap().to_owned();
    let mut shop = Device::of_business(&app, &merchant, &business, None).await;
    let mut waiting = Device::open(&app, &customer, &format!("/ws/orders/{id}")).await;
    accept(&app, &merchant, &order).await;
    let offer = event(&mut device, "offer_opened").await;
    assert!(offer["distance_m"].as_i64().unwrap() < 200, "{offer}");
    assert!(offer["remaining_ms"].as_u64().unwrap() <= 45_000 && offer["now"].is_string(), "{offer}");
    let path = format!("/offers/{}/accept", offer["offer_id"].as_str().unwrap());
    dora.post(&app, &path, &json!({})).await.expect(200);
    assert_eq!(event(&mut device, "delivery_updated").await["status"], "assigned");
    // Members see where the driver is from the assignment on.
    let seen = event(&mut shop, "driver_location").await;
    assert_eq!((&seen["driver_id"], &seen["delivery_id"]), (&json!(dora.id), &offer["delivery_id"]));
    let steps = format!("/deliveries/{}/steps", offer["delivery_id"].as_str().unwrap());
    dora.post(&app, &steps, &json!({"step": "picked_up"})).await.expect(200);
    device.send(json!({"type": "location", "lat": 38.7015, "lng": -9.1})).await;
    // The customer from when the food is on its way.
    loop {
        let frame = waiting.next().await;
        let event = &frame["event"];
        if event["type"] == "driver_location" {
            assert_eq!(frame["type"], "ephemeral");
            break;
        }
        assert_ne!(frame["type"], "error", "{frame}");
    }
    let stored = app.numbers("SELECT COUNT(*) FROM room_events WHERE kind = 'driver_location'").await;
    assert_eq!(stored, [Some(0)], "a position is no event");
    assert_eq!(app.metrics().offers_total.with_label_values(&["opened"]).get(), 1);
    assert_eq!(app.metrics().offers_total.with_label_values(&["accepted"]).get(), 1);
    assert_eq!(app.metrics().dispatch_assign_seconds.get_sample_count(), 1);
    for device in [device, shop, waiting] {
        device.close().await;
    }
}

async fn a_driver_who_loses_an_order_leaves_its_room(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let dora = driver(&app, "Dora").await;
    let mut device = on(&app, &dora).await;
    let order = order(&app, &customer, &business).await;
    let path = format!("/ws/orders/{}", order["id"].as_str().unwrap());
    let mut early = Device::dial(&app, Some(&dora.token), &path, &[]).await.expect("it is upgraded");
    assert_eq!(early.closed().await, Closed { code: 4004, reason: "no_such_room".to_owned() });
    accept(&app, &merchant, &order).await;
    let offer = event(&mut device, "offer_opened").await;
    dora.post(&app, &format!("/offers/{}/accept", offer["offer_id"].as_str().unwrap()), &json!({}))
        .await
        .expect(200);
    let mut inside = Device::open(&app, &dora, &path).await;
    let unassign = format!("/deliveries/{}/unassign", offer["delivery_id"].as_str().unwrap());
    let operator = app.operator("Olga").await;
    operator.post(&app, &unassign, &json!({"reason": "Another one is nearer"})).await.expect(200);
    assert_eq!(inside.closed().await.code, 4003);
    device.settle().await;
    device.close().await;
}

async fn a_cancelled_order_rings_at_its_driver_until_they_act_and_a_changed_one_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let (business, operator) = (merchant.business(&app).await, app.operator("Olga").await);
    let dora = driver(&app, "Dora").await;
    let mut device = on(&app, &dora).await;
    let order = order(&app, &customer, &business).await;
    accept(&app, &merchant, &order).await;
    let offer = event(&mut device, "offer_opened").await;
    dora.post(&app, &format!("/offers/{}/accept", offer["offer_id"].as_str().unwrap()), &json!({}))
        .await
        .expect(200);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let version = async || operator.get(&app, &path).await.expect(200).json()["version"].clone();
    let later = json!({"version": version().await, "ready_in_minutes": 20});
    merchant.patch(&app, &path, &later).await.expect(200);
    let ring = event(&mut device, "order_ring").await;
    assert_eq!((&ring["order_id"], &ring["kind"]), (&order["id"], &json!("changed")), "{ring}");
    is_silent(&app, &mut device, 40).await;
    let cancelled = json!({"status": "cancelled", "version": version().await, "reason": "They rang"});
    operator.patch(&app, &format!("{path}/status"), &cancelled).await.expect(200);
    let told = frame(&mut device, "delivery_updated").await;
    assert_eq!(told["event"]["data"]["status"], "cancelled", "{told}");
    for number in 1..=3 {
        let ring = event(&mut device, "order_ring").await;
        assert_eq!((&ring["kind"], &ring["ring"]), (&json!("cancelled"), &json!(number)), "{ring}");
        if number < 3 {
            app.advance(Duration::from_secs(15)).await;
        }
    }
    device.send(json!({"type": "acted", "room": told["room"], "cursor": told["cursor"]})).await;
    let marks = "SELECT COUNT(*) FROM device_marks WHERE kind = 'acted'";
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let stored = async {
        while app.numbers(marks).await == [Some(0)] {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("the mark is stored");
    is_silent(&app, &mut device, 60).await;
    device.close().await;
}

#[tokio::test]
async fn a_socket_for_drivers_is_for_approved_drivers_alone() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("drivers.auto_approve", "false")]).await;
    let (merchant, dora) = (app.person("merchant", "Mia").await, app.person("driver", "Dora").await);
    let refused = Device::dial(&app, Some(&dora.token), "/ws/driver", &[]).await.err().expect("not yet");
    assert_eq!(refused.status(), 403);
    let problem: Value = serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
    assert_eq!(problem["code"], "driver_pending");
    let mut foreign =
        Device::dial(&app, Some(&merchant.token), "/ws/driver", &[]).await.expect("it is upgraded");
    assert_eq!(foreign.closed().await.code, 4004);
    let operator = app.operator("Olga").await;
    operator.post(&app, &format!("/admin/users/{}/approve", dora.id), &json!({})).await.expect(200);
    let mut device = Device::open(&app, &dora, "/ws/driver").await;
    device.send(json!({"type": "status", "online": true})).await;
    assert_eq!(device.next().await["code"], "no_zone");
    device.close().await;
}

#[tokio::test]
async fn what_drivers_cannot_say_is_refused_and_changes_nothing() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (merchant, dora) = (app.person("merchant", "Mia").await, driver(&app, "Dora").await);
    let business = merchant.business(&app).await;
    let mut shop = Device::of_business(&app, &merchant, &business, None).await;
    for frame in [json!({"type": "status", "online": true}), json!({"type": "location", "lat": 1, "lng": 1})]
    {
        shop.send(frame).await;
        assert_eq!(shop.next().await["code"], "not_a_driver");
    }
    let mut device = Device::open(&app, &dora, "/ws/driver").await;
    for (frame, code) in [
        (json!({"type": "location", "lat": 90.1, "lng": 0}), "bad_location"),
        (json!({"type": "location", "lat": 0, "lng": -180.1}), "bad_location"),
        (json!({"type": "location", "lat": "x", "lng": 0}), "bad_frame"),
        (json!({"type": "location", "lat": 0, "lng": 0, "at": "yesterday"}), "bad_frame"),
    ] {
        device.send(frame.clone()).await;
        assert_eq!(device.next().await["code"], code, "{frame}");
    }
    device.send(json!({"type": "status", "online": true})).await;
    assert_eq!(device.next().await, json!({"type": "status", "online": true}));
    let seen = dora.get(&app, "/drivers/me").await.expect(200).json();
    assert_eq!((&seen["online"], &seen["position"]), (&json!(true), &Value::Null));
    shop.close().await;
    device.close().await;
}

/// Run by hand in release: `cargo test --release --test dispatch the_first_wave -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn the_first_wave_is_offered_within_200_ms_of_the_start_of_the_search() {
    for kind in [StoreKind::Sqlite, StoreKind::Postgres] {
        let app = TestApp::start(kind).await;
        let (merchant, customer) =
            (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
        let business = merchant.business(&app).await;
        let dora = driver(&app, "Dora").await;
        let mut device = on(&app, &dora).await;
        let mut worst = Duration::ZERO;
        for _ in 0..20 {
            let order = order(&app, &customer, &business).await;
            let begun = Instant::now();
            accept(&app, &merchant, &order).await;
            let offer = event(&mut device, "offer_opened").await;
            worst = worst.max(begun.elapsed());
            let path = format!("/offers/{}/decline", offer["offer_id"].as_str().unwrap());
            dora.post(&app, &path, &json!({})).await.expect(204);
            event(&mut device, "offer_closed").await;
        }
        eprintln!("{kind:?}: from accepting to the offer on the socket, the worst of 20: {worst:?}");
        assert!(worst <= Duration::from_millis(200), "{worst:?}");
        device.close().await;
    }
}
