//! Rings of an order, and the answer that silences every device.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Device, EventStream, StoreKind, TestApp};

crate::on_both_stores!(
    an_answer_on_one_device_silences_ten_within_a_second,
    a_ring_reaches_sockets_and_streams_and_moves_no_cursor,
    hello_and_alive_say_the_hubs_time,
);

async fn an_answer_on_one_device_silences_ten_within_a_second(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut devices = Vec::new();
    for _ in 0..10 {
        devices.push(Device::of_business(&app, &merchant, &business, None).await);
    }
    let order = customer.order(&app, &business).await;
    for device in &mut devices {
        assert_eq!(device.next().await["event"]["type"], "order_created");
    }
    merchant.move_order(&app, &order, "accepted").await;
    let answered = Instant::now();
    for device in &mut devices {
        let heard = device.next_numbered().await;
        assert_eq!(heard["event"]["data"]["status"], "accepted", "{heard}");
    }
    assert!(
        answered.elapsed() < Duration::from_secs(1),
        "the last device was silent after {:?}",
        answered.elapsed()
    );
}

async fn a_ring_reaches_sockets_and_streams_and_moves_no_cursor(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let path = format!("/rooms/business:{business}/stream");
    let (mut stream, _) = EventStream::open(&app, &merchant, &path).await;
    let order = customer.order(&app, &business).await;
    let created = device.next().await;
    assert_eq!(stream.next().await.event, "order_created");
    app.advance(Duration::from_secs(15)).await;
    let ring = device.next().await;
    assert_eq!((&ring["type"], &ring["cursor"]), (&json!("ephemeral"), &Value::Null), "{ring}");
    assert_eq!(ring["room"], created["room"]);
    assert_eq!(ring["event"]["type"], "order_ring");
    assert_eq!(ring["event"]["id"], Value::Null, "{ring}");
    let data = &ring["event"]["data"];
    assert_eq!((&data["order_id"], &data["kind"]), (&order["id"], &json!("placed")), "{data}");
    assert!(data["remaining_ms"].as_u64().is_some_and(|left| left > 400_000), "{data}");
    let streamed = stream.next().await;
    assert_eq!((streamed.event.as_str(), streamed.id.as_str()), ("order_ring", ""), "{streamed:?}");
    assert_eq!(streamed.json()["event"]["data"], *data);
    let path = format!("/rooms/business:{business}/events?cursor={}", created["cursor"].as_str().unwrap());
    let polled = merchant.get(&app, &path).await.expect(200).json();
    assert_eq!(
        (&polled["events"], &polled["cursor"]),
        (&json!([]), &created["cursor"]),
        "a poll has no rings"
    );
    merchant.move_order(&app, &order, "accepted").await;
    assert_eq!(device.next_numbered().await["event"]["data"]["status"], "accepted");
    app.advance(Duration::from_secs(60)).await;
    device.send(json!({"type": "ping"})).await;
    assert_eq!(device.next().await["type"], "alive", "an answered order rings no more");
}

async fn hello_and_alive_say_the_hubs_time(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let time = |frame: &Value| {
        let text = frame["now"].as_str().unwrap_or_else(|| panic!("no time in {frame}"));
        bellhop::domain::time::Timestamp::parse_rfc3339(text).unwrap()
    };
    app.timers().advance(Duration::from_secs(1000));
    let before = app.timers().now();
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    device.send(json!({"type": "ping"})).await;
    let alive = device.next().await;
    let times = [before, time(&device.hello), time(&alive), app.timers().now()];
    assert!(times.is_sorted(), "{times:?}");
    let (_stream, hello) =
        EventStream::open(&app, &merchant, &format!("/rooms/business:{business}/stream")).await;
    assert!(time(&hello.json()) >= time(&alive));
}
