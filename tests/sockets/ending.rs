//! Every way a socket ends: with a name, and when it should.

use futures_util::SinkExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Closed, Device, StoreKind, TestApp};

crate::on_both_stores!(an_ended_sign_in_closes_its_sockets_and_a_removed_member_loses_the_room,);

async fn an_ended_sign_in_closes_its_sockets_and_a_removed_member_loses_the_room(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(&app).await;
    owner.take_in(&app, &business, &staff).await;
    let for_a_table = json!({
        "business_id": business, "fulfilment": "dine_in", "table": 1, "payment": "cash",
        "items": [{"sku": "soup", "qty": 1}],
    });
    let order = staff.post(&app, "/orders", &for_a_table).await.expect(201).json();
    let order = format!("/ws/orders/{}", order["id"].as_str().unwrap());
    let mut of_staff = Device::of_business(&app, &staff, &business, None).await;
    let mut of_table = Device::open(&app, &staff, &order).await;
    owner.delete(&app, &format!("/businesses/{business}/members/{}", staff.id)).await.expect(204);
    for device in [&mut of_staff, &mut of_table] {
        assert_eq!(device.closed().await, Closed { code: 4003, reason: "access_denied".to_owned() });
    }
    let mut again = Device::dial(&app, Some(&staff.token), &order, &[]).await.expect("it is upgraded");
    assert_eq!(again.closed().await.code, 4004, "an order they placed themselves is the business's");
    let mut of_owner = Device::of_business(&app, &owner, &business, None).await;
    owner.post(&app, "/auth/logout", &json!({})).await.expect(204);
    assert_eq!(of_owner.closed().await, Closed { code: 4001, reason: "session_ended".to_owned() });
    owner.get(&app, "/businesses").await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let big = "x".repeat(64 * 1024 + 1);
    for (messages, code, reason) in [
        (vec![Message::text("a"), Message::text("b"), Message::text("c")], 1008, "bad_frames"),
        (vec![Message::binary(vec![1, 2, 3])], 1003, "unsupported_data"),
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

#[tokio::test]
async fn a_bad_frame_is_told_what_is_wrong_and_the_socket_goes_on() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let room = format!("business:{business}");
    for (frame, message) in [
        (json!({"type": "ack", "room": room}), "ack: cursor is missing."),
        (json!({"type": "ping", "x": 1}), "ping: x is not a known field."),
    ] {
        device.send(frame).await;
        let answer = device.next().await;
        assert_eq!((answer["code"].as_str(), answer["message"].as_str()), (Some("bad_frame"), Some(message)));
    }
    device.send(json!({"type": "ping"})).await;
    assert_eq!(device.next().await["type"], "alive");
    device.socket.send(Message::binary(&b"{}"[..])).await.expect("it is open");
    assert!(device.next().await["message"].as_str().unwrap().contains("text frames"));
    assert_eq!(device.closed().await, Closed { code: 1003, reason: "unsupported_data".to_owned() });
}

#[tokio::test]
async fn answers_to_what_came_before_a_close_in_the_same_packet_go_out_first() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let ping = || Message::text(r#"{"type":"ping"}"#);
    let (close, nonsense) = (Message::Close(None), || Message::text("nonsense"));
    for (messages, expected) in [
        (vec![ping(), ping(), close], vec!["alive", "alive"]),
        (vec![ping(), Message::binary(vec![1])], vec!["alive", "error"]),
        (
            vec![nonsense(), ping(), nonsense(), nonsense(), nonsense()],
            vec!["error", "alive", "error", "error"],
        ),
    ] {
        let mut device = Device::of_business(&app, &merchant, &business, None).await;
        for message in messages {
            device.socket.feed(message).await.expect("it is buffered");
        }
        device.socket.flush().await.expect("it is written at once");
        let mut answers = Vec::new();
        while let Ok(frame) = device.first().await {
            answers.push(frame["type"].as_str().expect("a type").to_owned());
        }
        assert_eq!(answers, expected);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_stopping_hub_is_served_until_it_is_its_turn_to_go() {
    let settings = [("server.workers", "1"), ("server.drain_spread_s", "10")];
    let mut app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let hub = (*app).clone();
    let stopping = tokio::task::spawn_blocking(move || app.stop());
    loop {
        let ready = hub.http.get(hub.url("/health/ready")).send().await.unwrap();
        if ready.text().await.unwrap().contains("draining") {
            break;
        }
    }
    let poll = format!("/rooms/business:{business}/events?wait=20");
    merchant.get(&hub, &poll).await.expect_problem(503, "unavailable");
    let order = customer.order(&hub, &business).await;
    let created = device.next_numbered().await;
    assert_eq!(created["event"]["data"]["order_id"], order["id"]);
    while device.next().await["type"] != "reconnect" {}
    assert_eq!(device.closed().await, Closed { code: 1012, reason: "restart".to_owned() });
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_a_socket_while_the_hub_stops_is_told_to_come_back() {
    let mut app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "10000")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let (some_are_open, first_ones) = oneshot::channel();
    let (hub, token) = ((*app).clone(), merchant.token.clone());
    let opened = tokio::spawn(async move {
        let mut some_are_open = Some(some_are_open);
        let mut endings = Vec::new();
        while let Some(socket) =
            Device::try_dial(&hub, &token, &format!("/ws/notifications/{business}")).await
        {
            endings.push(tokio::spawn(async move { Device { socket, hello: Value::Null }.closed().await }));
            if endings.len() == 20 {
                some_are_open.take().unwrap().send(()).unwrap();
            }
        }
        endings
    });
    first_ones.await.unwrap();
    app.stop();
    for ended in opened.await.unwrap() {
        assert_eq!(ended.await.unwrap(), Closed { code: 1012, reason: "restart".to_owned() });
    }
}

#[tokio::test]
async fn whoever_is_removed_while_they_open_sockets_keeps_none() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "100")]).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(&app).await;
    let members = format!("/businesses/{business}/members");
    let path = format!("/ws/notifications/{business}");
    for _ in 0..10 {
        owner.take_in(&app, &business, &staff).await;
        let removed = async { owner.delete(&app, &format!("{members}/{}", staff.id)).await.expect(204) };
        let dial =
            async |_| Device::dial(&app, Some(&staff.token), &path, &[]).await.expect("it is upgraded");
        let (mut devices, _) = tokio::join!(join_all((0..16).map(dial)), removed);
        for device in &mut devices {
            let closed = device.closed().await;
            assert!(matches!(closed.code, 4003 | 4004), "{closed:?}");
        }
    }
}
