//! Devices that were away go on by their cursor, or are told that they cannot.

use serde_json::json;

use crate::assert_consecutive;
use crate::support::{Device, Person, StoreKind, TestApp, seq, until};

crate::on_both_stores!(
    a_device_away_for_a_thousand_events_resumes_from_the_ring_and_after_a_restart_from_the_store,
    a_cursor_of_another_history_or_ahead_of_the_head_gives_resync,
);

/// What one node has told a device is the same on every other, before that has heard of it.
#[tokio::test]
async fn a_device_that_is_ahead_of_another_node_resumes_there_without_resync() {
    let app = TestApp::start(StoreKind::Postgres).await;
    let other = app.start_another().await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    // The room is in use on the other node, so that it knows a position.
    let stays = Device::of_business(&other, &merchant, &business, None).await;
    let mut ahead = Device::of_business(&app, &merchant, &business, None).await;
    let note = json!({"type": "NOTE", "title": "t", "message": "m"});
    for _ in 0..5 {
        merchant.post(&app, &format!("/businesses/{business}/notifications"), &note).await.expect(201);
        let cursor = ahead.next_numbered().await["cursor"].as_str().unwrap().to_owned();
        let path = format!("/rooms/business:{business}/events?cursor={cursor}");
        let polled = merchant.get(&other, &path).await.expect(200).json();
        assert_eq!(polled, json!({"events": [], "cursor": cursor, "resync": false}));
        let moved = Device::of_business(&other, &merchant, &business, Some(&cursor)).await;
        let room = json!({"room": format!("business:{business}"), "cursor": cursor, "recovered": true});
        assert_eq!(moved.hello["rooms"][0], room);
        moved.close().await;
    }
    ahead.close().await;
    stays.close().await;
}

/// A thousand events in the room of `business`, as notifications.
async fn thousand_events(app: &TestApp, merchant: &Person, business: &str) {
    for batch in 0..20 {
        let posts = (0..50).map(|i| {
            let body = json!({"type": "NOTE", "title": "t", "message": format!("{batch}-{i}")});
            async move {
                merchant.post(app, &format!("/businesses/{business}/notifications"), &body).await.expect(201)
            }
        });
        futures_util::future::join_all(posts).await;
    }
}

async fn a_device_away_for_a_thousand_events_resumes_from_the_ring_and_after_a_restart_from_the_store(
    kind: StoreKind,
) {
    let mut app = TestApp::start(kind).await;
    let mut merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    // One device stays, so that the room is in use and keeps its ring.
    let stays = Device::of_business(&app, &merchant, &business, None).await;
    let away = Device::of_business(&app, &merchant, &business, None).await;
    let cursor = away.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned();
    away.close().await;
    let deliveries_before = app.metrics().deliveries_total.with_label_values(&["history"]).get();
    thousand_events(&app, &merchant, &business).await;
    let reads = |app: &TestApp| {
        app.metrics().deliveries_total.with_label_values(&["history"]).get() - deliveries_before
    };
    let mut back = Device::of_business(&app, &merchant, &business, Some(&cursor)).await;
    assert_eq!(
        back.hello["rooms"][0],
        json!({"room": format!("business:{business}"), "cursor": cursor, "recovered": true})
    );
    assert_consecutive(&back.events(1000).await, 1);
    assert_eq!(reads(&app), 1000, "they came as history");
    back.close().await;
    stays.close().await;

    app.restart().await;
    merchant.sign_in(&app, None).await;
    let mut after_restart = Device::of_business(&app, &merchant, &business, Some(&cursor)).await;
    assert_consecutive(&after_restart.events(1000).await, 1);
    // And live from there on.
    let note = json!({"type": "NOTE", "title": "t", "message": "the last"});
    merchant.post(&app, &format!("/businesses/{business}/notifications"), &note).await.expect(201);
    assert_eq!(seq(&after_restart.next().await), 1001);
    after_restart.close().await;
}

async fn a_cursor_of_another_history_or_ahead_of_the_head_gives_resync(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    customer.order(&app, &business).await;
    let device = Device::of_business(&app, &merchant, &business, None).await;
    let head = device.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned();
    device.close().await;
    let (epoch, seq_at_head) = head.split_once('.').unwrap();
    assert_eq!(seq_at_head, "1");
    let other = if epoch == "00000001" { "00000002" } else { "00000001" };
    for cursor in [format!("{epoch}.2"), format!("{other}.1"), "nonsense".to_owned(), "%20".to_owned()] {
        let mut device = Device::of_business(&app, &merchant, &business, Some(&cursor)).await;
        assert_eq!(device.hello["rooms"][0]["recovered"], false, "{cursor}");
        let resync = json!({"type": "resync", "room": format!("business:{business}"), "cursor": head});
        assert_eq!(device.next_numbered().await, resync, "{cursor}");
        device.close().await;
    }
    let mut device = Device::of_business(&app, &merchant, &business, Some("nonsense")).await;
    assert_eq!(device.next_numbered().await["type"], "resync");
    customer.order(&app, &business).await;
    assert_eq!(seq(&device.next_numbered().await), 2, "after a resync it is live");
    device.close().await;
}

#[tokio::test]
async fn rooms_share_a_budget_of_memory_and_devices_resume_all_the_same() {
    const BUDGET: i64 = 65_536;
    let app = TestApp::start_with(StoreKind::Sqlite, &[("rooms.memory_bytes", "65536")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let (mut stay, mut away) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let business = merchant.business(&app).await;
        let device = Device::of_business(&app, &merchant, &business, None).await;
        away.push((business, device.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned()));
        stay.push(device);
    }
    for n in 0..40 {
        let body = json!({"type": "NOTE", "title": "t", "message": format!("{n} {}", "x".repeat(500))});
        let posts = away.iter().map(|(business, _)| {
            let path = format!("/businesses/{business}/notifications");
            let (app, merchant, body) = (&app, &merchant, &body);
            async move { merchant.post(app, &path, body).await.expect(201) }
        });
        futures_util::future::join_all(posts).await;
        let used = app.metrics().room_memory_bytes.get();
        assert!(
            used <= BUDGET,
            "8 rooms with 40 events of 600 bytes would be {} bytes: {used}",
            8 * 40 * 600
        );
    }
    until("the figure is kept", || app.metrics().room_memory_bytes.get() > 0).await;
    for (business, cursor) in &away {
        let mut back = Device::of_business(&app, &merchant, business, Some(cursor)).await;
        assert_consecutive(&back.events(40).await, 1);
        back.close().await;
    }
    for mut device in stay {
        assert_consecutive(&device.events(40).await, 1);
        device.close().await;
    }
}
