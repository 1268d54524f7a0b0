//! A database put back to an older copy: nobody is left with a hole in what they know.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, EventStream, PASSWORD, Person, StoreKind, TestApp, order_body, seq};
use crate::{each, header};

crate::on_both_stores!(
    after_a_restore_and_a_new_epoch_every_client_gets_resync_and_finds_the_truth,
    without_a_new_epoch_a_cursor_from_after_the_copy_passes_for_a_new_one,
    a_new_epoch_reaches_the_devices_of_a_running_hub,
);

/// A hub whose database was put back, and which has gone on since, further than it was before.
struct Restored {
    app: TestApp,
    merchant: Person,
    customer: Person,
    business: String,
    /// Of the business's room, the oldest first: two from before the copy, two from after it.
    cursors: Vec<String>,
    /// Of the room of the first order, before the copy was made.
    order_room: (String, String),
    /// Orders that wait for an answer.
    placed: BTreeSet<String>,
    /// The first order of the time after the restore, and one that went with what came after the copy.
    first_new: String,
    lost: String,
    /// Somebody whose account went the same way.
    newcomer: Person,
}

fn id(order: &Value) -> String {
    order["id"].as_str().expect("an id").to_owned()
}

async fn poll(app: &TestApp, who: &Person, room: &str, query: &str) -> Value {
    who.get(app, &format!("/rooms/{room}/events?{query}")).await.expect(200).json()
}

async fn head(app: &TestApp, who: &Person, room: &str) -> String {
    poll(app, who, room, "").await["cursor"].as_str().expect("a cursor").to_owned()
}

async fn keyed(app: &TestApp, who: &Person, business: &str) -> Answer {
    let request = who.request(app, Method::POST, "/orders").header("idempotency-key", "of-the-lost-order");
    Answer::of(request.json(&order_body(business))).await.expect(201)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Epoch {
    Rotated,
    Kept,
}

async fn restored(kind: StoreKind, epoch: Epoch) -> Restored {
    let mut app = TestApp::start(kind).await;
    let (mut merchant, mut customer) =
        (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let room = format!("business:{business}");
    let first = customer.order(&app, &business).await;
    let mut cursors = vec![head(&app, &merchant, &room).await];
    let mut placed: BTreeSet<String> = [id(&first)].into();
    for _ in 0..2 {
        placed.insert(id(&customer.order(&app, &business).await));
    }
    cursors.push(head(&app, &merchant, &room).await);
    let order_room = format!("order:{}", id(&first));
    let order_room = (order_room.clone(), head(&app, &customer, &order_room).await);

    let copy = if kind == StoreKind::Postgres {
        app.stop();
        let copy = app.copy_database().await;
        app.start_again().await;
        copy
    } else {
        app.copy_database().await
    };

    // What the copy does not know of: three orders, and that the first was accepted. Two devices hear of it.
    let mut devices = Vec::new();
    for _ in 0..2 {
        devices.push(Device::of_business(&app, &merchant, &business, Some(&cursors[1])).await);
    }
    let newcomer = app.person("customer", "Nora").await;
    let lost = keyed(&app, &customer, &business).await.json();
    cursors.push(devices[0].next_numbered().await["cursor"].as_str().unwrap().to_owned());
    customer.order(&app, &business).await;
    merchant.move_order(&app, &first, "accepted").await;
    cursors.push(head(&app, &merchant, &room).await);
    let heard = seq(&json!({"cursor": cursors[3]})) - seq(&json!({"cursor": cursors[1]}));
    assert_eq!(devices[1].events(heard as usize).await.last().unwrap()["cursor"], cursors[3].as_str());
    for device in devices {
        device.close().await;
    }

    app.stop();
    app.restore(&copy).await;
    if epoch == Epoch::Rotated {
        let (done, said) = app.bellhop(&["epochs", "rotate"]).await;
        assert!(done && said.contains("get resync"), "{said}");
    }
    app.start_again().await;
    for person in [&mut merchant, &mut customer] {
        person.sign_in(&app, None).await;
    }
    let first_new = id(&customer.order(&app, &business).await);
    placed.insert(first_new.clone());
    // Past every number that was given out before: from here on an old cursor looks like one of now.
    while seq(&json!({"cursor": head(&app, &merchant, &room).await}))
        <= seq(&json!({"cursor": cursors[3]})) + 2
    {
        placed.insert(id(&customer.order(&app, &business).await));
    }
    let lost = id(&lost);
    Restored { app, merchant, customer, business, cursors, order_room, placed, first_new, lost, newcomer }
}

impl Restored {
    /// What is listed as waiting, as a client does after `resync`.
    async fn listed(&self) -> BTreeSet<String> {
        let list = self.merchant.get(&self.app, "/orders?status=placed&limit=50").await.expect(200).json();
        each(&list, "id").into_iter().collect()
    }
}

async fn after_a_restore_and_a_new_epoch_every_client_gets_resync_and_finds_the_truth(kind: StoreKind) {
    let mut world = restored(kind, Epoch::Rotated).await;
    let Restored { app, merchant, customer, business, .. } = &world;
    let room = format!("business:{business}");
    let now = head(app, merchant, &room).await;
    let (mut devices, mut streams) = (Vec::new(), Vec::new());
    for cursor in &world.cursors {
        let mut device = Device::of_business(app, merchant, business, Some(cursor)).await;
        assert_eq!(device.hello["rooms"][0]["recovered"], false, "{cursor}: {}", device.hello);
        assert_eq!(
            device.next_numbered().await,
            json!({"type": "resync", "room": room, "cursor": now}),
            "{cursor}"
        );
        devices.push(device);

        let answer = poll(app, merchant, &room, &format!("cursor={cursor}&wait=30")).await;
        assert_eq!(answer, json!({"events": [], "cursor": now, "resync": true}), "{cursor}");

        let path = format!("/rooms/{room}/stream?cursor={cursor}");
        let (mut stream, hello) = EventStream::open(app, merchant, &path).await;
        let greeted = (hello.id.as_str(), &hello.json()["rooms"][0]["recovered"]);
        assert_eq!(greeted, ("", &json!(false)), "{cursor}");
        let resync = stream.next_numbered().await;
        assert_eq!((resync.event.as_str(), &resync.id), ("resync", &now), "{cursor}");
        streams.push(stream);
    }
    let (order_room, cursor) = &world.order_room;
    assert_eq!(poll(app, customer, order_room, &format!("cursor={cursor}")).await["resync"], true);

    // The truth: the order that was accepted after the copy waits again, the lost ones are in no list.
    assert_eq!(world.listed().await, world.placed);
    customer.get(app, &format!("/orders/{}", world.lost)).await.expect_problem(404, "not_found");

    // An account made after the copy is gone with its sign-in, and can be made again.
    let Person { email, refresh_token, .. } = &world.newcomer;
    crate::anonymous(app, "/auth/refresh", &json!({"refresh_token": refresh_token})).await.expect(401);
    let again = json!({"email": email, "password": PASSWORD, "role": "customer", "name": "Nora"});
    crate::anonymous(app, "/auth/signup", &again).await.expect(201);

    // Who never got rid of the request sends it again: it is an order anew, and everybody hears of it.
    let again = keyed(app, customer, business).await;
    assert_eq!(header(&again, "idempotency-replayed"), "");
    let again = id(&again.json());
    assert_ne!(again, world.lost);
    for device in &mut devices {
        let event = device.next_numbered().await;
        assert_eq!(seq(&event), seq(&json!({"cursor": now})) + 1);
        assert_eq!(event["event"]["data"]["order_id"], again.as_str(), "{event}");
    }
    for stream in &mut streams {
        assert_eq!(stream.next_numbered().await.json()["event"]["data"]["order_id"], again.as_str());
    }
    let polled = poll(app, merchant, &room, &format!("cursor={now}&wait=20")).await;
    assert_eq!(
        (&polled["resync"], &polled["events"][0]["event"]["data"]["order_id"]),
        (&json!(false), &json!(again))
    );
    for device in devices {
        device.close().await;
    }
    drop(streams);
    world.placed.insert(again);
    assert_eq!(world.listed().await, world.placed);
}

/// What the epoch is for: the same story without it leaves a device with a hole that it cannot see.
async fn without_a_new_epoch_a_cursor_from_after_the_copy_passes_for_a_new_one(kind: StoreKind) {
    let world = restored(kind, Epoch::Kept).await;
    let room = format!("business:{}", world.business);
    let answer = poll(&world.app, &world.merchant, &room, &format!("cursor={}", world.cursors[3])).await;
    assert_eq!(answer["resync"], false, "nobody notices");
    let heard: BTreeSet<&str> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["event"]["data"]["order_id"].as_str())
        .collect();
    assert!(!heard.is_empty() && !heard.contains(world.first_new.as_str()), "{answer}");
}

async fn a_new_epoch_reaches_the_devices_of_a_running_hub(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let room = format!("business:{business}");
    customer.order(&app, &business).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let before = device.hello["rooms"][0]["cursor"].as_str().unwrap().to_owned();
    let (done, said) = app.bellhop(&["epochs", "rotate"]).await;
    assert!(done, "{said}");
    let resync = device.next_numbered().await;
    assert_eq!((&resync["type"], seq(&resync)), (&json!("resync"), seq(&json!({"cursor": before}))));
    let order = customer.order(&app, &business).await;
    let event = device.next_numbered().await;
    assert_eq!(event["event"]["data"]["order_id"], order["id"]);
    assert_eq!(seq(&event), seq(&resync) + 1);
    let (epoch, _) = resync["cursor"].as_str().unwrap().split_once('.').unwrap();
    assert!(event["cursor"].as_str().unwrap().starts_with(epoch) && !before.starts_with(epoch));
    assert_eq!(poll(&app, &merchant, &room, &format!("cursor={before}")).await["resync"], true);
    device.close().await;
}
