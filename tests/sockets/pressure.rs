//! Clients that are slow to read, quick to write, or overtaken by events.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::assert_consecutive;
use crate::support::{Closed, Device, StoreKind, TestApp};

#[tokio::test]
async fn what_a_client_sent_while_it_did_not_take_its_answers_is_answered_once_it_does() {
    // The next ping comes after this test has lost its patience, so that nothing else looks at the socket.
    let settings =
        [("sessions.outbox_frames", "16"), ("sessions.ping_s", "30"), ("sessions.frames_burst", "1000000")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let ping = Message::text(json!({"type": "ping"}).to_string());
    let mut asked = 0;
    // Until the hub stops reading, because its answers are not taken.
    loop {
        asked += 1;
        if tokio::time::timeout(Duration::from_millis(300), device.socket.send(ping.clone())).await.is_err() {
            break;
        }
    }
    for _ in 1..asked {
        assert_eq!(device.next().await["type"], "alive");
    }
    device.socket.flush().await.unwrap();
    assert_eq!(device.next().await["type"], "alive", "also the one that was stuck on its way");
    device.close().await;
}

#[tokio::test]
async fn a_client_that_sends_more_frames_than_it_may_is_closed_with_4029() {
    let settings = [("sessions.frames_per_s", "1"), ("sessions.frames_burst", "3")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    device.send(json!({"type": "ping"})).await;
    assert_eq!(device.next().await["type"], "alive");
    // A slow machine sends some so late that they are allowed, and none can be sent once the hub has closed.
    for _ in 0..30 {
        if device.socket.send(Message::Ping("control frames count too".into())).await.is_err() {
            break;
        }
    }
    assert_eq!(device.closed().await, Closed { code: 4029, reason: "too_many".to_owned() });
}

#[tokio::test]
async fn events_that_come_together_make_no_client_slow_that_takes_them() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.outbox_frames", "16")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let path = format!("/businesses/{business}/notifications");
    let body = json!({"type": "NOTE", "title": "t", "message": "m"});
    for batch in 0..10 {
        // Several share a transaction, and are told of at once: more than the outbox holds, less than the kernel takes.
        let posts = (0..50).map(async |_| merchant.post(&app, &path, &body).await.expect(201));
        futures_util::future::join_all(posts).await;
        assert_consecutive(&device.events(50).await, batch * 50 + 1);
    }
    let from_the_log = app.metrics().deliveries_total.with_label_values(&["history"]).get();
    assert_eq!(from_the_log, 0, "it never had to catch up");
    device.close().await;
}

#[tokio::test]
async fn five_hundred_devices_that_come_to_a_room_at_once_are_all_let_in() {
    let settings = [("sessions.max_per_user", "1000"), ("sessions.max_per_ip", "1000")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let open = (0..500).map(|_| Device::of_business(&app, &merchant, &business, None));
    let devices = futures_util::future::join_all(open).await;
    assert_eq!(app.sessions().open(), devices.len());
}
