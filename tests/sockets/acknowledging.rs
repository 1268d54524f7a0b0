//! What devices acknowledge is stored, once and in time.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Device, StoreKind, TestApp};

crate::on_both_stores!(
    two_devices_one_of_which_acknowledges_see_the_same_order,
    what_a_device_acknowledges_as_its_last_word_is_stored,
);

async fn two_devices_one_of_which_acknowledges_see_the_same_order(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut merchant, customer) =
        (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    merchant.sign_in(&app, Some("till-1")).await;
    let mut first = Device::of_business(&app, &merchant, &business, None).await;
    merchant.sign_in(&app, Some("till-2")).await;
    let mut second = Device::of_business(&app, &merchant, &business, None).await;
    let order = customer.order(&app, &business).await;
    let (seen_first, seen_second) = (first.next().await, second.next().await);
    assert_eq!(seen_first, seen_second);
    assert_eq!(seen_first["event"]["data"]["order_id"], order["id"]);
    let acks = app.metrics().event_ack_seconds.get_sample_count();
    first.send(json!({"type": "ack", "room": seen_first["room"], "cursor": seen_first["cursor"]})).await;
    first.settle().await;
    assert_eq!(app.metrics().event_ack_seconds.get_sample_count(), acks + 1);
    let room = seen_first["room"].as_str().unwrap();
    assert_eq!(
        app.stored_acks(room).await,
        [("till-1".to_owned(), 1)],
        "the first of an order is stored at once"
    );
    // The other one still stands where it stood, and both see what comes next.
    merchant.move_order(&app, &order, "accepted").await;
    assert_eq!(first.next_numbered().await, second.next_numbered().await);
    second.send(json!({"type": "ack", "room": seen_first["room"], "cursor": "00000000.99"})).await;
    assert_eq!(second.next().await["code"], "ack_refused");
    first.close().await;
    second.close().await;
}

async fn what_a_device_acknowledges_as_its_last_word_is_stored(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut device, seen, ..) = Device::with_an_order(&app, "till-1").await;
    let ack = json!({"type": "ack", "room": seen["room"], "cursor": seen["cursor"]});
    // In one packet, so that the hub reads both before it has stored the first.
    device.socket.feed(Message::text(ack.to_string())).await.unwrap();
    device.socket.feed(Message::Close(None)).await.unwrap();
    device.socket.flush().await.unwrap();
    assert_eq!(app.stored_acks(seen["room"].as_str().unwrap()).await, [("till-1".to_owned(), 1)]);
}

#[tokio::test]
async fn an_acknowledgement_that_takes_too_long_is_given_up_and_others_after_it_are_stored() {
    // One worker thread, which stores what it keeps together.
    let settings = [("server.workers", "1"), ("database.lock_timeout_ms", "100")];
    let app = TestApp::start_with(StoreKind::Postgres, &settings).await;
    let (mut merchant, customer) =
        (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    merchant.sign_in(&app, Some("till-1")).await;
    let mut first = Device::of_business(&app, &merchant, &business, None).await;
    merchant.sign_in(&app, Some("till-2")).await;
    let mut second = Device::of_business(&app, &merchant, &business, None).await;
    customer.order(&app, &business).await;
    let ack = |seen: Value| json!({"type": "ack", "room": seen["room"], "cursor": seen["cursor"]});
    let mut holder = PgConnection::connect(app.postgres_url().unwrap()).await.unwrap();
    holder.execute("BEGIN; LOCK TABLE device_acks IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let seen = first.next().await;
    first.send(ack(seen)).await;
    let given_up = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while app.metrics().persistence_too_slow_total.get() == 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_up).await.expect("it is given up");
    holder.execute("ROLLBACK").await.unwrap();
    let seen = second.next().await;
    second.send(ack(seen)).await;
    let room = format!("business:{business}");
    assert_eq!(app.stored_acks(&room).await, [("till-2".to_owned(), 1)], "it is not tried for ever");
    customer.order(&app, &business).await;
    let seen = first.next_numbered().await;
    first.send(ack(seen)).await;
    first.settle().await;
    let both = async { while app.stored_acks(&room).await.len() < 2 {} };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("what it says next is stored");
}
