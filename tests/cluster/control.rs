//! What one hub changes counts on the others: ends of login sessions, memberships, drivers, businesses and menus.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::support::{
    Closed, Device, EventStream, Person, StoreKind, TestApp, order_body, own_prefix, redis_url, until,
};

/// The bound for what one hub changes to count on the others is 5 s, with Redis 2 s. Machines that run tests are slow; and this is less
/// than the 30 s after which a hub reads a cached order again without being told.
const WITHIN: Duration = Duration::from_secs(20);

/// Three hubs that have each other and one Postgres.
struct Trio {
    hubs: [TestApp; 3],
}

impl Trio {
    async fn alone() -> Self {
        Self { hubs: hubs(&[]).await }
    }

    /// None where there is no Redis to test with.
    async fn on_redis() -> Option<Self> {
        let (url, prefix) = (redis_url("BELLHOP_TEST_REDIS")?, own_prefix());
        let hubs = hubs(&[("redis.url", url.as_str()), ("redis.prefix", prefix.as_str())]).await;
        for hub in &hubs {
            until("the bus is connected", || hub.metrics().bus_connected.get() == 1).await;
        }
        Some(Self { hubs })
    }

    /// Waits until all of them are closed, each in this way.
    async fn closes(&self, devices: &mut [Device], code: u16, reason: &str) {
        let closed = tokio::time::timeout(WITHIN, join_all(devices.iter_mut().map(Device::closed))).await;
        let expected = Closed { code, reason: reason.to_owned() };
        assert!(closed.expect("they are closed in time").iter().all(|closed| *closed == expected));
    }

    /// Waits until a hub answers a question in this way.
    async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let (begun, mut asks) = (Instant::now(), interval(Duration::from_millis(50)));
        while !holds().await {
            assert!(begun.elapsed() < WITHIN, "{what}");
            asks.tick().await;
        }
    }
}

async fn hubs<const N: usize>(settings: &[(&str, &str)]) -> [TestApp; N] {
    let mut hubs = vec![TestApp::start_with(StoreKind::Postgres, settings).await];
    while hubs.len() < N {
        hubs.push(hubs[0].start_another().await);
    }
    hubs.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
}

/// Runs each test once without Redis and once with it.
macro_rules! without_and_with_redis {
    ($($name:ident),* $(,)?) => {
        mod without_redis {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Trio::alone().await).await; })*
        }
        mod with_redis {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let Some(trio) = super::Trio::on_redis().await else { return };
                super::$name(trio).await;
            })*
        }
    };
}

without_and_with_redis!(
    an_ended_login_session_loses_its_sockets_and_tokens_on_every_node,
    a_suspended_account_loses_its_sockets_and_tokens_on_every_node,
    a_removed_member_loses_the_room_and_the_pages_on_every_node,
    a_driver_who_has_an_order_no_more_leaves_its_room_on_every_node,
    a_business_and_a_menu_that_were_cached_are_read_again_on_every_node,
    an_order_and_a_list_that_were_cached_are_read_again_on_every_node,
);

/// How many changes of this kind a hub has acted on.
fn acted_on(hub: &TestApp, kind: &str) -> u64 {
    hub.metrics().control_events_total.with_label_values(&[kind]).get()
}

async fn an_ended_login_session_loses_its_sockets_and_tokens_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let owner = first.person("merchant", "Olga").await;
    let business = owner.business(first).await;
    let mut devices = Vec::new();
    for hub in [first, second, second, third] {
        devices.push(Device::of_business(hub, &owner, &business, None).await);
    }
    let (mut stream, _) =
        EventStream::open(third, &owner, &format!("/rooms/business:{business}/stream")).await;
    owner.post(first, "/auth/logout", &json!({})).await.expect(204);
    trio.closes(&mut devices, 4001, "session_ended").await;
    assert_eq!(stream.closed().await, "session_ended");
    for hub in [first, second, third] {
        owner.get(hub, "/businesses").await.expect_problem(401, "unauthenticated");
        // A socket's own look at its login session may be first.
        trio.eventually("it is heard in the control room", async || acted_on(hub, "session_ended") > 0).await;
    }
}

async fn a_suspended_account_loses_its_sockets_and_tokens_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let (operator, mut owner) = (first.operator("Ada").await, first.person("merchant", "Olga").await);
    let business = owner.business(first).await;
    let mut devices = vec![Device::of_business(second, &owner, &business, None).await];
    // Another sign-in of the same person.
    owner.sign_in(third, Some("till")).await;
    devices.push(Device::of_business(third, &owner, &business, None).await);
    operator.post(first, &format!("/admin/users/{}/suspend", owner.id), &json!({})).await.expect(200);
    trio.closes(&mut devices, 4001, "session_ended").await;
    for hub in [first, second, third] {
        owner.get(hub, "/businesses").await.expect_problem(401, "unauthenticated");
    }
}

async fn a_removed_member_loses_the_room_and_the_pages_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let (owner, staff) = (first.person("merchant", "Olga").await, first.person("merchant", "Sam").await);
    let business = owner.business(first).await;
    owner.take_in(first, &business, &staff).await;
    let mut devices = Vec::new();
    for hub in [first, second, third] {
        devices.push(Device::of_business(hub, &staff, &business, None).await);
        staff.get(hub, &format!("/businesses/{business}/stats")).await.expect(200);
    }
    owner.delete(first, &format!("/businesses/{business}/members/{}", staff.id)).await.expect(204);
    trio.closes(&mut devices, 4003, "access_denied").await;
    for hub in [first, second, third] {
        staff.get(hub, &format!("/businesses/{business}/stats")).await.expect(404);
        let path = format!("/ws/notifications/{business}");
        let mut again = Device::dial(hub, Some(&staff.token), &path, &[]).await.expect("it is upgraded");
        assert_eq!(again.closed().await.code, 4004);
    }
    // Who comes back is let in again everywhere, though each hub has just read that they may not.
    owner.take_in(second, &business, &staff).await;
    for hub in [first, second, third] {
        trio.eventually("a member sees their business", async || {
            staff.get(hub, &format!("/businesses/{business}/stats")).await.status == 200
        })
        .await;
    }
}

async fn a_driver_who_has_an_order_no_more_leaves_its_room_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let (owner, customer) = (first.person("merchant", "Olga").await, first.person("customer", "Zoe").await);
    let (operator, business) = (first.operator("Ada").await, owner.business(first).await);
    let by_drivers = json!({"delivered_by": "drivers"});
    owner.patch(first, &format!("/businesses/{business}"), &by_drivers).await.expect(200);
    let mut body = order_body(&business);
    body["fulfilment"] = json!("delivery");
    body["address"] = json!({"text": "Rua Augusta 1", "lat": 38.7103, "lng": -9.1365});
    body["customer"] = json!({"name": "Zoe", "phone": "+351 21 000 00 00"});
    let order = customer.post(first, "/orders", &body).await.expect(201).json();
    let order = owner.move_order(first, &order, "accepted").await;
    let assign = format!("/deliveries/{}/assign", order["delivery"]["id"].as_str().unwrap());
    let (dan, eve) = (first.person("driver", "Dan").await, first.person("driver", "Eve").await);
    operator.post(first, &assign, &json!({"driver_id": dan.id})).await.expect(200);
    let path = format!("/ws/orders/{}", order["id"].as_str().unwrap());
    let mut devices = Vec::new();
    for hub in [first, second, third] {
        devices.push(Device::open(hub, &dan, &path).await);
    }
    operator.post(first, &assign, &json!({"driver_id": eve.id})).await.expect(200);
    trio.closes(&mut devices, 4003, "access_denied").await;
    assert_eq!(Device::open(third, &eve, &path).await.hello["type"], "hello");
}

async fn a_business_and_a_menu_that_were_cached_are_read_again_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let owner = first.person("merchant", "Olga").await;
    let business = owner.business(first).await;
    let (of_business, of_menu) = (format!("/businesses/{business}"), format!("/businesses/{business}/menu"));
    for hub in [second, third] {
        for (cache, path) in [("business", &of_business), ("menu", &of_menu)] {
            let hits = || hub.metrics().cache_requests_total.with_label_values(&[cache, "hit"]).get();
            let before = hits();
            // Not while the hub is behind in what the others have changed.
            trio.eventually("it is served from memory", async || {
                owner.get(hub, path).await.expect(200);
                hits() > before
            })
            .await;
        }
    }
    owner.patch(first, &of_business, &json!({"name": "Chez Olga"})).await.expect(200);
    owner.patch(first, &format!("{of_menu}/items/soup"), &json!({"price_minor": 77})).await.expect(200);
    for hub in [first, second, third] {
        trio.eventually("the new name and price are seen", async || {
            let (shop, menu) = (owner.get(hub, &of_business).await, owner.get(hub, &of_menu).await);
            shop.text.contains("Chez Olga") && menu.text.contains("\"price_minor\":77")
        })
        .await;
    }
}

async fn an_order_and_a_list_that_were_cached_are_read_again_on_every_node(trio: Trio) {
    let [first, second, third] = &trio.hubs;
    let (owner, customer) = (first.person("merchant", "Olga").await, first.person("customer", "Carl").await);
    let business = owner.business(first).await;
    // Each says that it is there, and then hears of the others.
    for hub in trio.hubs.iter().chain(&trio.hubs) {
        hub.renew_leases().await;
    }
    let order = customer.order(first, &business).await;
    let (one, all) = (format!("/orders/{}", order["id"].as_str().unwrap()), "/orders".to_owned());
    for hub in [second, third] {
        for path in [&one, &all] {
            owner.get(hub, path).await.expect(200);
        }
    }
    owner.move_order(first, &order, "accepted").await;
    for hub in [second, third] {
        trio.eventually("the order is seen as it is", async || {
            let (one, all) = (owner.get(hub, &one).await.json(), owner.get(hub, &all).await.json());
            (&one["status"], &all["items"][0]["status"]) == (&json!("accepted"), &json!("accepted"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_beside_the_hubs_changes_is_heard_by_each() {
    let [first, second] = hubs(&[]).await;
    let driver = first.person("driver", "Dora").await;
    let (done, said) = first.bellhop(&["admin", "approve", &driver.email]).await;
    assert!(done, "{said}");
    for hub in [&first, &second] {
        until("the change is heard", || acted_on(hub, "account_changed") > 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_tell_the_other_nodes_nothing_and_are_seen_there_at_once_when_placed() {
    let [first, second] = hubs(&[]).await;
    let (owner, customer) = (first.person("merchant", "Olga").await, first.person("customer", "Carl").await);
    let business = owner.business(&first).await;
    let order = customer.order(&first, &business).await;
    let order = owner.move_order(&first, &order, "accepted").await;
    owner.move_order(&second, &order, "preparing").await;
    let heads = "SELECT seq FROM room_seq WHERE room = 'control'";
    let before = first.numbers(heads).await;
    customer.post(&first, "/orders", &order_body(&business)).await.expect(201);
    let listed = owner.get(&second, &format!("/orders?status=placed&business_id={business}")).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(first.numbers(heads).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_ever_in_the_room_of_the_nodes() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (admin, owner) = (app.operator("Ada").await, app.person("merchant", "Olga").await);
    let business = owner.business(&app).await;
    for (person, path) in [(&admin, "/ws/ops".to_owned()), (&owner, format!("/ws/notifications/{business}"))]
    {
        let mut device = Device::open(&app, person, &path).await;
        device.send(json!({"type": "subscribe", "room": "control"})).await;
        let answer = device.next().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("no_such_room")), "{answer}");
        for path in ["/rooms/control/events", "/rooms/control/stream"] {
            person.get(&app, path).await.expect_problem(404, "not_found");
        }
        refused_ack(&app, person).await;
    }
}

async fn refused_ack(app: &TestApp, person: &Person) {
    let body: Value = json!({"cursor": "00000001.1", "device": "till"});
    let answer = person.request(app, Method::POST, "/rooms/control/ack").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}
