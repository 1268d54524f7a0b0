//! Frames and open sockets have bounds, and those of the dead are not held against the living.

use std::time::{Duration, Instant};

use bellhop::protocol::frames::ClientFrame;
use serde_json::{Value, json};

use crate::support::{Device, StoreKind, TestApp};

const ON: (&str, &str) = ("limits.enabled", "true");

/// Which kind of frame it is, and how many there are; a new kind does not compile until it stands here.
fn kind(frame: &Value) -> (usize, usize) {
    let index = match serde_json::from_str(&frame.to_string()).expect("it is a frame") {
        ClientFrame::Ack { .. } => 0,
        ClientFrame::Shown { .. } => 1,
        ClientFrame::Acted { .. } => 2,
        ClientFrame::Subscribe { .. } => 3,
        ClientFrame::Unsubscribe { .. } => 4,
        ClientFrame::Refresh { .. } => 5,
        ClientFrame::Device { .. } => 6,
        ClientFrame::Ping {} => 7,
        ClientFrame::Status { .. } => 8,
        ClientFrame::Location { .. } => 9,
    };
    (index, 10)
}

#[tokio::test]
async fn every_kind_of_frame_is_refused_or_ends_the_socket_in_the_end() {
    let settings =
        [ON, ("limits.frames", "3"), ("sessions.frames_per_s", "1"), ("sessions.frames_burst", "12")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let operator = app.operator("Ada").await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let (room, elsewhere) = (format!("business:{business}"), "order:ord_0190f3c1a2b37d4e8f00112233445566");
    customer.order(&app, &business).await;
    let driver = app.person("driver", "Dora").await;
    let mut seen = [false; 10];
    for frame in [
        json!({"type": "ack", "room": room, "cursor": "CURSOR"}),
        json!({"type": "shown", "room": room, "cursor": "CURSOR"}),
        json!({"type": "acted", "room": room, "cursor": "CURSOR"}),
        json!({"type": "subscribe", "room": elsewhere}),
        json!({"type": "unsubscribe", "room": elsewhere}),
        json!({"type": "refresh", "token": merchant.token}),
        json!({"type": "device", "id": "till", "can_ring": true}),
        json!({"type": "ping"}),
        json!({"type": "status", "online": false}),
        json!({"type": "location", "lat": 38.7, "lng": -9.1}),
    ] {
        operator.delete(&app, "/admin/rate-limits").await.expect(204);
        let mut device = match frame["type"].as_str() {
            Some("status" | "location") => Device::open(&app, &driver, "/ws/driver").await,
            _ => Device::of_business(&app, &merchant, &business, None).await,
        };
        let cursor = device.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned();
        let text = frame.to_string().replace("CURSOR", &cursor);
        let frame: Value = serde_json::from_str(&text).unwrap();
        let (index, kinds) = kind(&frame);
        assert_eq!(kinds, seen.len());
        seen[index] = true;
        for _ in 0..20 {
            device.send(frame.clone()).await;
        }
        loop {
            match device.first().await {
                Ok(answer) if answer["code"] == "too_many_requests" => {
                    assert!(answer["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{answer}");
                    break;
                }
                Ok(_) => {}
                Err(closed) => {
                    assert_eq!(closed.code, 4029, "{frame}");
                    break;
                }
            }
        }
    }
    assert_eq!(seen, [true; 10]);
}

#[tokio::test]
async fn the_frames_of_a_user_are_counted_over_all_their_sockets_and_no_other_users() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.frames", "2")]).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut one = Device::of_business(&app, &merchant, &business, None).await;
    let mut two = Device::of_business(&app, &merchant, &business, None).await;
    let order = customer.order(&app, &business).await;
    let cursor = one.next().await["cursor"].clone();
    two.next().await;
    // What is marked already on a socket is not stored again and costs nothing.
    let mark = |kind: &str| json!({"type": kind, "room": format!("business:{business}"), "cursor": cursor});
    for device in [&mut one, &mut two] {
        device.send(mark("shown")).await;
        device.send(mark("shown")).await;
        device.settle().await;
    }
    for device in [&mut one, &mut two] {
        device.send(mark("acted")).await;
        assert_eq!(device.next_numbered().await["code"], "too_many_requests");
        device.settle().await;
    }
    let path = format!("/ws/orders/{}", order["id"].as_str().unwrap());
    let mut theirs = Device::open(&app, &customer, &path).await;
    theirs.send(json!({"type": "subscribe", "room": format!("business:{business}")})).await;
    assert_eq!(theirs.next().await["code"], "no_such_room");
}

#[tokio::test]
async fn an_acknowledgement_that_may_not_be_stored_at_once_is_stored_with_the_others() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.frames", "1")]).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    device.send(json!({"type": "refresh", "token": merchant.token})).await;
    assert_eq!(device.next().await["type"], "refreshed");
    customer.order(&app, &business).await;
    let event = device.next().await;
    let room = format!("business:{business}");
    device.send(json!({"type": "ack", "room": room, "cursor": event["cursor"]})).await;
    device.settle().await;
    assert_eq!(app.stored_acks(&room).await.len(), 1);
}

#[tokio::test]
async fn acknowledgements_of_a_user_without_frames_are_not_stored_one_by_one() {
    // Flushes are so far apart that few of them fall among what is looked at.
    let settings = [
        ON,
        ("limits.frames", "1"),
        ("limits.orders", "1000"),
        ("limits.open_orders", "100"),
        ("sessions.ack_flush_ms", "10000"),
    ];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let elsewhere = app.person("merchant", "Olga").await.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    device.send(json!({"type": "refresh", "token": merchant.token})).await;
    assert_eq!(device.next().await["type"], "refreshed");
    let writes =
        || app.metrics().database_operations_total.with_label_values(&["insert", "device_acks"]).get();
    let (mut stored_at_once, began) = (0, Instant::now());
    for _ in 0..3 {
        customer.order(&app, &business).await;
        let event = device.next_numbered().await;
        let before = writes();
        device.send(json!({"type": "ack", "room": event["room"], "cursor": event["cursor"]})).await;
        device.settle().await;
        // What is stored at once is written before the last of these: there is one writer.
        for _ in 0..20 {
            customer.order(&app, &elsewhere).await;
        }
        stored_at_once += u64::from(writes() > before);
    }
    let flushes = 1 + began.elapsed().as_secs() / 10;
    assert!(
        stored_at_once <= flushes,
        "{stored_at_once} of 3 were written, and there were {flushes} flushes"
    );
}

#[tokio::test]
async fn sockets_of_vanished_devices_make_room_for_the_ones_they_come_back_with() {
    // Nothing else would ask whether they are there while this test has patience.
    let settings = [("sessions.max_per_user", "2"), ("sessions.ping_s", "30"), ("sessions.pong_s", "5")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let path = format!("/ws/notifications/{business}");
    // Nobody reads from it, and so nobody answers a ping.
    let _vanished = Device::dial(&app, Some(&merchant.token), &path, &[]).await.expect("it opens");
    let mut living = Device::of_business(&app, &merchant, &business, None).await;
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let path = format!("{path}?ticket={}", ticket["ticket"].as_str().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let living = tokio::spawn(async move {
        let answered = tokio::select! {
            _ = stopped => true,
            _ = living.first() => false,
        };
        assert!(answered, "nothing happens to it");
        living.settle().await;
        living
    });
    let back = async {
        loop {
            // The ticket is not spent by refusals.
            match Device::dial(&app, None, &path, &[]).await {
                Ok(device) => return device,
                Err(refused) => assert_eq!(refused.status(), 429),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(20), back).await.expect("there is a place in time");
    stop.send(()).unwrap();
    living.await.unwrap().close().await;
    back.close().await;
}
