//! Who may open a socket, and what it hears.

use serde_json::{Value, json};

use crate::support::{Closed, Device, StoreKind, TestApp};

crate::on_both_stores!(
    a_placed_order_rings_every_device_and_the_answer_reaches_them_too,
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
        let event = device.next_numbered().await["event"].clone();
        assert_eq!((&event["type"], &event["data"]["status"]), (&json!("order_updated"), &json!("accepted")));
        assert_eq!(event["data"]["version"], accepted["version"]);
    }
    for device in devices.into_iter().chain([tracking]) {
        device.close().await;
    }
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
    assert_eq!(device.next_numbered().await["type"], "left");
    customer.order(&app, &two).await;
    customer.order(&app, &one).await;
    assert_eq!(device.next_numbered().await["room"], format!("business:{one}"));
    device.close().await;
}
