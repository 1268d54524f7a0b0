//! Orders that do not go the whole way of the ladder: accepted by themselves, ended by others, held, silent.

use serde_json::{Value, json};

use crate::support::{Device, StoreKind, TestApp, until};
use crate::{s, seen, taken};

crate::on_both_stores!(
    an_order_is_accepted_with_the_first_acknowledgement_and_rings_until_somebody_acts,
    an_accepted_order_that_an_operator_cancels_rings_until_somebody_acts,
    an_order_that_nobody_acts_on_rings_for_five_minutes_after_its_cancellation,
    a_held_deadline_waits_for_the_end_of_the_hold,
    a_muted_business_is_not_called_and_its_devices_ring,
);

async fn acknowledge(device: &mut Device, event: &Value) {
    device.send(json!({"type": "ack", "room": event["room"], "cursor": event["cursor"]})).await;
}

async fn act(app: &TestApp, device: &mut Device, event: &Value) {
    device.send(json!({"type": "acted", "room": event["room"], "cursor": event["cursor"]})).await;
    let acted = "SELECT COUNT(*) FROM device_marks WHERE kind = 'acted'";
    let mut looks = tokio::time::interval(s(1) / 100);
    let stored = async {
        while app.numbers(acted).await == [Some(0)] {
            looks.tick().await;
        }
    };
    tokio::time::timeout(s(20), stored).await.expect("the mark is stored");
}

async fn an_order_is_accepted_with_the_first_acknowledgement_and_rings_until_somebody_acts(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    app.execute(format!("UPDATE businesses SET auto_accept = TRUE WHERE id = '{business}'")).await;
    merchant.sign_in(&app, Some("till")).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let order = zoe.order(&app, &business).await;
    let event = device.events(1).await.remove(0);
    assert_eq!(seen(&app, &zoe, &order).await["status"], "placed");
    acknowledge(&mut device, &event).await;
    let accepted = app.metrics().orders_processed_total.with_label_values(&["accepted"]);
    until("the acknowledgement accepts it", || accepted.get() == 1).await;
    assert_eq!(seen(&app, &zoe, &order).await["status"], "accepted");
    let before = taken(&app, "ring");
    app.advance(s(31)).await;
    let rung = taken(&app, "ring");
    assert!(rung >= before + 2, "{before} rings, then {rung}");
    act(&app, &mut device, &event).await;
    app.advance(s(120)).await;
    assert_eq!(taken(&app, "ring"), rung, "somebody has seen it");
    assert_eq!(taken(&app, "call"), 0);
    device.close().await;
}

async fn accepted_then_cancelled(app: &TestApp) -> (Device, Value) {
    let ops = app.operator("Olga").await;
    let (mut merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(app).await;
    merchant.sign_in(app, Some("till")).await;
    let mut device = Device::of_business(app, &merchant, &business, None).await;
    let order = zoe.order(app, &business).await;
    let order = merchant.move_order(app, &order, "accepted").await;
    app.advance(s(60)).await;
    assert_eq!(taken(app, "ring"), 0, "an answered order does not ring");
    let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
    let cancelled =
        json!({"status": "cancelled", "version": order["version"], "reason": "the customer rang"});
    ops.patch(app, &path, &cancelled).await.expect(200);
    let events = device.events(3).await;
    (device, events[2].clone())
}

async fn an_accepted_order_that_an_operator_cancels_rings_until_somebody_acts(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut device, event) = accepted_then_cancelled(&app).await;
    assert_eq!(event["event"]["type"], "order_cancelled");
    app.advance(s(16)).await;
    let ring = device.next().await;
    assert_eq!(ring["event"]["data"]["kind"], "cancelled", "{ring}");
    let rung = taken(&app, "ring");
    assert!((1..=3).contains(&rung), "{rung}");
    act(&app, &mut device, &event).await;
    app.advance(s(60)).await;
    assert_eq!(taken(&app, "ring"), rung);
    device.close().await;
}

async fn an_order_that_nobody_acts_on_rings_for_five_minutes_after_its_cancellation(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (device, _) = accepted_then_cancelled(&app).await;
    app.advance(s(310)).await;
    let rung = taken(&app, "ring");
    assert!((19..=21).contains(&rung), "{rung}");
    app.advance(s(120)).await;
    assert_eq!(taken(&app, "ring"), rung);
    assert_eq!(app.timers().sagas(), 0);
    device.close().await;
}

async fn a_held_deadline_waits_for_the_end_of_the_hold(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let order = zoe.order(&app, &business).await;
    let now = app.timers().now();
    let until = now.plus(s(900)).as_micros();
    app.execute(format!(
        "INSERT INTO holds (what, scope, until, reason, user_id, created_at) \
         VALUES ('auto_cancel', '{business}', {until}, 'a fire drill', '{}', {})",
        merchant.id,
        now.as_micros()
    ))
    .await;
    app.advance(s(890)).await;
    assert_eq!(seen(&app, &zoe, &order).await["status"], "placed");
    app.advance(s(45)).await;
    assert_eq!(seen(&app, &zoe, &order).await["status"], "cancelled");
}

async fn a_muted_business_is_not_called_and_its_devices_ring(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let until = app.timers().now().plus(s(3600)).as_micros();
    app.execute(format!("UPDATE businesses SET muted_until = {until} WHERE id = '{business}'")).await;
    zoe.order(&app, &business).await;
    app.advance(s(90)).await;
    let loud = "SELECT COUNT(*) FROM intents WHERE channel IN ('mail', 'telephone')";
    assert_eq!(app.numbers(loud).await, [Some(0)]);
    assert!(taken(&app, "ring") >= 5);
}
