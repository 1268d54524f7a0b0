//! Sockets from the outside: joining, resuming, acknowledging, and every way they end.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use support::{Closed, Device, StoreKind, TestApp, seq};
use tokio_tungstenite::tungstenite::Message;

on_both_stores!(
    a_placed_order_rings_every_device_and_the_answer_reaches_them_too,
    a_device_away_for_a_thousand_events_resumes_from_the_ring_and_after_a_restart_from_the_store,
    a_cursor_of_another_history_or_ahead_of_the_head_gives_resync,
    two_devices_one_of_which_acknowledges_see_the_same_order,
    an_ended_sign_in_closes_its_sockets_and_a_removed_member_loses_the_room,
    a_ticket_opens_one_socket,
);

async fn a_placed_order_rings_every_device_and_the_answer_reaches_them_too(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut devices = Vec::new();
    for _ in 0..3 {
        devices.push(Device::of_business(&app, &merchant, &business, None).await);
    }
    let order = customer.order(&app, &business).await;
    let mut tracking =
        Device::open(&app, &customer, &format!("/ws/orders/{}", order["id"].as_str().unwrap())).await;
    for device in &mut devices {
        let frame = device.next().await;
        assert_eq!(frame["room"], format!("business:{business}"));
        let event = &frame["event"];
        assert_eq!((&event["type"], &event["data"]["order_id"]), (&json!("order_created"), &order["id"]));
        assert_eq!(event["data"]["status"], "placed");
        let notification = &event["data"]["notification"];
        assert_eq!((&notification["type"], &notification["priority"]), (&json!("NEW_ORDER"), &json!("HIGH")));
        assert_eq!(
            notification["message"],
            format!("Order #{} from Carl", order["order_number"].as_str().unwrap())
        );
    }
    let accepted = merchant.move_order(&app, &order, "accepted").await;
    for device in devices.iter_mut().chain([&mut tracking]) {
        let event = device.next().await["event"].clone();
        assert_eq!((&event["type"], &event["data"]["status"]), (&json!("order_updated"), &json!("accepted")));
        assert_eq!(event["data"]["version"], accepted["version"]);
    }
    for device in devices.into_iter().chain([tracking]) {
        device.close().await;
    }
}

/// A thousand events in the room of `business`, as notifications.
async fn thousand_events(app: &TestApp, merchant: &support::Person, business: &str) {
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

fn assert_consecutive(events: &[Value], from: u64) {
    let seqs: Vec<u64> = events.iter().map(seq).collect();
    assert_eq!(seqs, (from..from + events.len() as u64).collect::<Vec<_>>());
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
        assert_eq!(device.next().await, resync, "{cursor}");
        device.close().await;
    }
    let mut device = Device::of_business(&app, &merchant, &business, Some("nonsense")).await;
    assert_eq!(device.next().await["type"], "resync");
    customer.order(&app, &business).await;
    assert_eq!(seq(&device.next().await), 2, "after a resync it is live");
    device.close().await;
}

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
    assert_eq!(first.next().await, second.next().await);
    second.send(json!({"type": "ack", "room": seen_first["room"], "cursor": "00000000.99"})).await;
    assert_eq!(second.next().await["code"], "ack_refused");
    first.close().await;
    second.close().await;
}

async fn an_ended_sign_in_closes_its_sockets_and_a_removed_member_loses_the_room(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(&app).await;
    let member = json!({"email": staff.email, "role": "staff"});
    owner.post(&app, &format!("/businesses/{business}/members"), &member).await.expect(201);
    let mut of_staff = Device::of_business(&app, &staff, &business, None).await;
    owner.delete(&app, &format!("/businesses/{business}/members/{}", staff.id)).await.expect(204);
    assert_eq!(of_staff.closed().await, Closed { code: 4003, reason: "access_denied".to_owned() });
    let mut of_owner = Device::of_business(&app, &owner, &business, None).await;
    owner.post(&app, "/auth/logout", &json!({})).await.expect(204);
    assert_eq!(of_owner.closed().await, Closed { code: 4001, reason: "session_ended".to_owned() });
    owner.get(&app, "/businesses").await.expect_problem(401, "unauthenticated");
}

async fn a_ticket_opens_one_socket(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json()["ticket"].clone();
    let path = format!("/ws/notifications/{business}?ticket={}", ticket.as_str().unwrap());
    let mut device = Device::dial(&app, None, &path, &[]).await.expect("the first time");
    assert_eq!(device.next().await["type"], "hello");
    let refused = Device::dial(&app, None, &path, &[]).await.err().expect("not a second time");
    assert_eq!(refused.status(), 401);
    device.close().await;
}

#[tokio::test]
async fn before_the_upgrade_refusals_are_problems_and_foreign_rooms_close_with_4004() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "2")]).await;
    let (merchant, stranger) = (app.person("merchant", "Mia").await, app.person("merchant", "Eve").await);
    let business = merchant.business(&app).await;
    let path = format!("/ws/notifications/{business}");
    for (token, headers, status, code) in [
        (None, &[][..], 401, "unauthenticated"),
        (Some("nonsense"), &[][..], 401, "unauthenticated"),
        (Some(merchant.token.as_str()), &[("origin", "https://evil.example")][..], 403, "origin_refused"),
    ] {
        let refused = Device::dial(&app, token, &path, headers).await.err().expect("it is refused");
        assert_eq!(refused.status(), status);
        let problem: Value = serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
        assert_eq!(problem["code"], code);
    }
    let mut foreign = Device::dial(&app, Some(&stranger.token), &path, &[]).await.expect("it is upgraded");
    assert_eq!(foreign.closed().await, Closed { code: 4004, reason: "no_such_room".to_owned() });
    let mut absent =
        Device::dial(&app, Some(&stranger.token), "/ws/orders/ord_x", &[]).await.expect("it is upgraded");
    assert_eq!(absent.closed().await.code, 4004);
    let own = app.address.to_string();
    let origin = format!("http://{own}");
    let first =
        Device::dial(&app, Some(&merchant.token), &path, &[("origin", &origin)]).await.expect("its own page");
    let second = Device::dial(&app, Some(&merchant.token), &path, &[]).await.expect("the second");
    let third = Device::dial(&app, Some(&merchant.token), &path, &[]).await.err().expect("two are allowed");
    assert_eq!(third.status(), 429);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn hello_is_the_first_frame_even_for_a_client_that_speaks_at_once() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    for _ in 0..20 {
        let path = format!("/ws/notifications/{business}");
        let mut device =
            Device::dial(&app, Some(&merchant.token), &path, &[]).await.expect("the socket opens");
        device.send(json!({"type": "ping"})).await;
        assert_eq!(device.next().await["type"], "hello");
        assert_eq!(device.next().await["type"], "alive");
        device.close().await;
    }
}

#[tokio::test]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let big = "x".repeat(64 * 1024 + 1);
    for (messages, code, reason) in [
        (vec![Message::text("a"), Message::text("b"), Message::text("c")], 1008, "bad_frames"),
        (vec![Message::binary(vec![1, 2, 3])], 1002, "protocol_error"),
        (vec![Message::text(big)], 1009, "too_big"),
    ] {
        let mut device = Device::of_business(&app, &merchant, &business, None).await;
        for message in messages {
            // The hub may have closed before the last byte is out.
            let _ = device.socket.send(message).await;
        }
        assert_eq!(device.closed().await, Closed { code, reason: reason.to_owned() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_hub_tells_its_clients_when_to_come_back() {
    let mut app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let told = tokio::spawn(async move {
        let reconnect = device.next().await;
        (reconnect, device.closed().await)
    });
    app.stop();
    let (reconnect, closed) = told.await.unwrap();
    assert_eq!(reconnect["type"], "reconnect");
    assert_eq!(closed, Closed { code: 1012, reason: "restart".to_owned() });
}

#[tokio::test]
async fn a_socket_hears_the_rooms_it_subscribes_to_and_no_others() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let (one, two) = (merchant.business(&app).await, merchant.business(&app).await);
    let foreign = app.person("merchant", "Eve").await.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &one, None).await;
    device.send(json!({"type": "subscribe", "room": format!("business:{foreign}")})).await;
    assert_eq!(device.next().await["code"], "no_such_room");
    device.send(json!({"type": "subscribe", "room": format!("business:{two}")})).await;
    assert_eq!(device.next().await["type"], "hello");
    customer.order(&app, &two).await;
    assert_eq!(device.next().await["room"], format!("business:{two}"));
    device.send(json!({"type": "unsubscribe", "room": format!("business:{two}")})).await;
    assert_eq!(device.next().await["type"], "left");
    customer.order(&app, &two).await;
    customer.order(&app, &one).await;
    assert_eq!(device.next().await["room"], format!("business:{one}"));
    device.close().await;
}

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
    for _ in 0..3 {
        device.send_raw(Message::Ping("control frames count too".into())).await;
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
