//! Which businesses can be reached, what follows from it, and what operators hear.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, Person, StoreKind, TestApp};

crate::on_both_stores!(
    the_last_device_of_a_business_pauses_it_after_five_minutes_and_a_new_one_resumes_it,
    a_device_that_returns_ends_the_pause_of_its_cause_within_ten_seconds_and_no_other,
    a_device_that_polls_keeps_its_business_reachable_and_acknowledges,
    forty_of_a_hundred_shops_lose_their_devices_and_none_is_paused,
    only_operators_hear_what_operators_are_told,
);

/// The next frame that is not a change of presence.
async fn heard(device: &mut Device) -> Value {
    loop {
        let frame = device.next().await;
        if frame["event"]["type"] != "presence" {
            return frame;
        }
    }
}

/// The next change of presence; orders that wait meanwhile may ring before.
async fn presence(device: &mut Device) -> Value {
    loop {
        let frame = device.next().await;
        assert_eq!(frame["type"], "ephemeral", "{frame}");
        if frame["event"]["type"] == "presence" {
            return frame["event"]["data"].clone();
        }
    }
}

async fn can_ring(device: &mut Device, id: &str) {
    device.send(json!({"type": "device", "id": id, "can_ring": true})).await;
    assert_eq!(device.next().await["type"], "alive");
}

async fn shop(app: &TestApp, owner: &Person) -> String {
    let body = json!({
        "name": "Shop", "location": {"lat": 1, "lng": 1}, "zone": "centre", "currency": "EUR",
    });
    let shop = owner.post(app, "/businesses", &body).await.expect(201).json();
    shop["id"].as_str().unwrap().to_owned()
}

/// Every business has had an order a moment ago.
async fn used(app: &TestApp, kind: StoreKind, customer: &Person) {
    let (column, nothing) = match kind {
        StoreKind::Postgres => (", search", ", ''::tsvector"),
        StoreKind::Sqlite => ("", ""),
    };
    let (id, now) = (&customer.id, Timestamp::now().as_micros());
    app.execute(format!(
        "INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, fulfilment, status, \
             payment_method, payment_status, total_minor, currency, version, created_at, updated_at{column}) \
         SELECT 'ord_' || substr(id, 5), 1, id, '{id}', 'Carl', 'pickup', 'delivered', \
             'cash', 'paid', 100, 'EUR', 1, {now}, {now}{nothing} FROM businesses"
    ))
    .await;
}

/// Every frame that has come up to an answer to a ping, without changes of presence.
async fn all_heard(device: &mut Device) -> Vec<Value> {
    let mut frames = Vec::new();
    device.send(json!({"type": "ping"})).await;
    loop {
        let frame = heard(device).await;
        if frame["type"] == "alive" {
            return frames;
        }
        frames.push(frame);
    }
}

/// The next `count` frames, without changes of presence.
async fn next_heard(device: &mut Device, count: usize) -> Vec<Value> {
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.push(heard(device).await);
    }
    frames
}

/// Every frame that comes until there are `count` of them, and until an answer to a ping behind those.
async fn all_heard_after(device: &mut Device, count: usize) -> Vec<Value> {
    let mut frames = next_heard(device, count).await;
    frames.extend(all_heard(device).await);
    frames
}

/// Devices say again that they can ring, as they do all the time, and read what has come: who answers no ping is taken for gone.
async fn say_again(tills: &mut [Device], first: usize) {
    for (n, till) in tills.iter_mut().enumerate() {
        till.send(json!({"type": "device", "id": format!("till-{}", first + n), "can_ring": true})).await;
        while till.next().await["type"] != "alive" {}
    }
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| {
            let event = &frame["event"];
            let word = if event["type"] == "notification" { &event["data"]["type"] } else { &event["type"] };
            word.as_str().unwrap_or("no type")
        })
        .collect()
}

async fn the_last_device_of_a_business_pauses_it_after_five_minutes_and_a_new_one_resumes_it(
    kind: StoreKind,
) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let (business, operator) = (merchant.business(&app).await, app.operator("Ada").await);
    let mut ops = Device::open(&app, &operator, "/ws/ops").await;
    let mut screen = Device::of_business(&app, &merchant, &business, None).await;
    let mut till = Device::of_business(&app, &merchant, &business, None).await;
    can_ring(&mut till, "till-1").await;
    let there = json!({"business_id": business, "reachable": true, "devices": 1});
    assert_eq!(presence(&mut screen).await, there);
    assert_eq!(presence(&mut ops).await, there);
    app.advance(Duration::from_secs(330)).await;
    assert!(kinds(&all_heard(&mut screen).await).is_empty(), "it was reachable all the time");
    till.close().await;
    app.advance(Duration::from_secs(30)).await;
    let gone = json!({"business_id": business, "reachable": false, "devices": 0});
    assert_eq!(presence(&mut screen).await, gone);
    app.advance(Duration::from_secs(300)).await;
    let updated = heard(&mut screen).await;
    assert_eq!(updated["event"]["type"], "business_updated", "{updated}");
    let data = &updated["event"]["data"];
    assert_eq!((&data["takes_orders"], &data["pauses"][0]["cause"]), (&json!(false), &json!("unreachable")));
    assert_eq!(kinds(&all_heard_after(&mut ops, 2).await), ["business_updated", "BUSINESS_PAUSED"]);
    let order = crate::support::order_body(&business);
    customer.post(&app, "/orders", &order).await.expect_problem(409, "business_paused");
    let mut back = Device::of_business(&app, &merchant, &business, None).await;
    can_ring(&mut back, "till-1").await;
    let updated = heard(&mut screen).await;
    assert_eq!(updated["event"]["data"]["pauses"], json!([]), "{updated}");
    assert_eq!(kinds(&next_heard(&mut ops, 2).await), ["business_updated", "BUSINESS_RESUMED"]);
    customer.post(&app, "/orders", &order).await.expect(201);
}

/// Entries of the audit without a person that name a business with just this many pauses.
async fn recorded(app: &TestApp, pauses: &str) -> Option<i64> {
    let entries =
        "SELECT COUNT(*) FROM audit WHERE action = 'business.trading' AND user_id IS NULL AND detail LIKE";
    app.numbers(&format!("{entries} '%{pauses}%'")).await[0]
}

async fn a_device_that_returns_ends_the_pause_of_its_cause_within_ten_seconds_and_no_other(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, operator) = (app.person("merchant", "Mia").await, app.operator("Ada").await);
    let business = merchant.business(&app).await;
    let mut screen = Device::of_business(&app, &merchant, &business, None).await;
    let mut till = Device::of_business(&app, &merchant, &business, None).await;
    can_ring(&mut till, "till-1").await;
    app.advance(Duration::from_secs(330)).await;
    till.close().await;
    app.advance(Duration::from_secs(330)).await;
    let causes = |business: &Value| {
        let pauses = business["pauses"].as_array().expect("members see them").iter();
        let mut causes: Vec<String> =
            pauses.map(|pause| pause["cause"].as_str().unwrap().to_owned()).collect();
        causes.sort();
        causes
    };
    let paused = heard(&mut screen).await["event"]["data"].clone();
    assert_eq!(causes(&paused), ["unreachable"]);
    assert_eq!(
        (recorded(&app, "unreachable").await, recorded(&app, "\"pauses\":[]").await),
        (Some(1), Some(0))
    );
    // Every other cause beside it.
    let path = format!("/businesses/{business}");
    let until = app.timers().now().plus(Duration::from_secs(7200)).to_rfc3339();
    merchant.patch(&app, &path, &json!({"state": "paused", "paused_until": until})).await.expect(200);
    operator.patch(&app, &path, &json!({"state": "paused"})).await.expect(200);
    let unanswered = r#"{"cause":"unanswered","since":"2026-01-01T00:00:00Z","until":null}"#;
    app.execute(format!(
        "UPDATE businesses SET pauses = SUBSTR(pauses, 1, LENGTH(pauses) - 1) || ',{unanswered}]' WHERE id = '{business}'"
    ))
    .await;
    all_heard(&mut screen).await;
    let mut back = Device::of_business(&app, &merchant, &business, None).await;
    let said = app.timers().now();
    can_ring(&mut back, "till-1").await;
    let event = heard(&mut screen).await["event"].clone();
    let ended = Timestamp::parse_rfc3339(event["time"].as_str().unwrap()).unwrap();
    assert!(ended >= said, "it ended before there was a reason");
    let took = ended.since(said);
    assert!(took <= Duration::from_secs(10), "resumed {took:?} after its device could ring");
    let others = ["manual", "operator", "unanswered"];
    assert_eq!(causes(&event["data"]), others);
    assert_eq!(event["data"]["takes_orders"], false);
    assert_eq!(recorded(&app, "unanswered").await, Some(1), "what is left is in the audit");
    // Nor does a device that stays end them in time.
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(causes(&merchant.get(&app, &path).await.expect(200).json()), others);
    back.close().await;
}

async fn a_device_that_polls_keeps_its_business_reachable_and_acknowledges(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut screen = Device::of_business(&app, &merchant, &business, None).await;
    let put = merchant.request(&app, Method::PUT, "/devices/till-7").json(&json!({"can_ring": true}));
    let said = Answer::of(put).await.expect(200).json();
    assert_eq!((&said["id"], &said["can_ring"]), (&json!("till-7"), &json!(true)));
    assert!(said["until"].as_str() > said["now"].as_str(), "{said}");
    assert_eq!(presence(&mut screen).await["devices"], 1);
    let orders = [customer.order(&app, &business).await, customer.order(&app, &business).await];
    let events = screen.events(2).await;
    let path = format!("/rooms/business:{business}/ack");
    let ack = |cursor: &Value| json!({"cursor": cursor, "device": "till-7"});
    merchant.post(&app, &path, &ack(&events[0]["cursor"])).await.expect(204);
    merchant.post(&app, &path, &ack(&events[1]["cursor"])).await.expect(204);
    for order in &orders {
        let timeline = format!("/orders/{}/timeline", order["id"].as_str().unwrap());
        let timeline = merchant.get(&app, &timeline).await.expect(200).json();
        let acknowledged =
            timeline["items"].as_array().unwrap().iter().find(|entry| entry["device"] == "till-7");
        assert!(acknowledged.is_some(), "{timeline}");
    }
    let beyond = events[1]["cursor"].as_str().unwrap().replace(".2", ".3");
    merchant.post(&app, &path, &ack(&json!(beyond))).await.expect_problem(422, "invalid");
    let never = json!("00000001.0");
    merchant.post(&app, &path, &ack(&never)).await.expect_problem(422, "invalid");
    let put = merchant.request(&app, Method::PUT, "/devices/till-7").json(&json!({"can_ring": false}));
    assert_eq!(Answer::of(put).await.expect(200).json()["until"], Value::Null);
    app.advance(Duration::from_secs(30)).await;
    assert_eq!(presence(&mut screen).await["reachable"], false);
}

async fn forty_of_a_hundred_shops_lose_their_devices_and_none_is_paused(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("sessions.max_per_user", "200")]).await;
    let (merchant, operator) = (app.person("merchant", "Mia").await, app.operator("Ada").await);
    let customer = app.person("customer", "Carl").await;
    let mut ops = Device::open(&app, &operator, "/ws/ops").await;
    let mut tills = Vec::new();
    for n in 0..100 {
        let shop = shop(&app, &merchant).await;
        let mut till = Device::of_business(&app, &merchant, &shop, None).await;
        can_ring(&mut till, &format!("till-{n}")).await;
        tills.push(till);
        if tills.len().is_multiple_of(10) {
            say_again(&mut tills, 0).await;
            assert!(all_heard(&mut ops).await.is_empty());
        }
    }
    used(&app, kind, &customer).await;
    app.advance(Duration::from_secs(320)).await;
    for till in tills.drain(..40) {
        till.close().await;
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        say_again(&mut tills, 40).await;
        app.advance(Duration::from_secs(200)).await;
        told.extend(all_heard(&mut ops).await);
    }
    let missing = 1_usize.saturating_sub(told.len());
    told.extend(all_heard_after(&mut ops, missing).await);
    assert_eq!(kinds(&told), ["BUSINESS_PAUSED"], "one alarm");
    assert_eq!(told[0]["event"]["data"]["business_id"], Value::Null);
    let paused = app.numbers("SELECT COUNT(*) FROM businesses WHERE pauses IS NOT NULL").await;
    assert_eq!(paused, [Some(0)]);
}

async fn only_operators_hear_what_operators_are_told(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, operator) = (app.person("merchant", "Mia").await, app.operator("Ada").await);
    let business = merchant.business(&app).await;
    let mut refused =
        Device::dial(&app, Some(&merchant.token), "/ws/ops", &[]).await.expect("it is upgraded");
    assert_eq!(refused.closed().await.code, 4004);
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    device.send(json!({"type": "subscribe", "room": "ops"})).await;
    assert_eq!(device.next().await["code"], "no_such_room");
    merchant.get(&app, "/rooms/ops/events").await.expect(404);
    let mut ops = Device::of_business(&app, &operator, &business, None).await;
    ops.send(json!({"type": "subscribe", "room": "ops"})).await;
    assert_eq!(ops.next().await["rooms"][0]["room"], "ops");
    assert_eq!(operator.get(&app, "/rooms/ops/events").await.expect(200).json()["events"], json!([]));
}
