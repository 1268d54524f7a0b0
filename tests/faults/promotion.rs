//! A standby that lacks the last commits takes the place of the database: no client is left with a hole in what it
//! knows, and it is said aloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::scenario::{Scenario, an_order_each, order_until_placed, text, until_placed};
use crate::support::{Device, NetworkFault, Person, Proxy, StandbyDatabase, TestApp, order_body, seq};

/// How long a client may take to find the truth.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client of a business's room knows, by the recipe of the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    placed: BTreeSet<String>,
    cursor: String,
    resyncs: usize,
}

/// A client that keeps what it knows: an event adds to it, after `resync` it lists anew.
struct Client {
    business: String,
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts at the head with the list of what is placed, or goes on from what was known.
    async fn start(app: &TestApp, merchant: &Person, business: &str, known: Option<Known>) -> Self {
        let cursor = known.as_ref().map(|known| known.cursor.clone());
        let mut device = Device::of_business(app, merchant, business, cursor.as_deref()).await;
        let mut begin = known.unwrap_or_default();
        if begin.cursor.is_empty() {
            begin.cursor = text(&device.hello["rooms"][0], "cursor");
            begin.placed = placed(&app.http, &app.url(""), merchant, business).await;
        }
        let known = Arc::new(Mutex::new(begin));
        let (http, url, kept) = (app.http.clone(), app.url(""), known.clone());
        let (who, of) = (merchant.clone(), business.to_owned());
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = device.socket.next().await {
                let Message::Text(text) = message else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                heard(&http, &url, &who, &of, &frame, &kept).await;
            }
        });
        Self { business: business.to_owned(), known, task }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    /// Its socket ends, and what it knows is kept.
    fn leave(self) -> Known {
        self.task.abort();
        self.known()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Known) -> bool) {
        let mut polls = tokio::time::interval(Duration::from_millis(10));
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(&self.known()) {
                polls.tick().await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.known());
    }
}

async fn heard(
    http: &reqwest::Client,
    url: &str,
    who: &Person,
    business: &str,
    frame: &Value,
    known: &Mutex<Known>,
) {
    match frame["type"].as_str() {
        Some("event") => {
            let mut known = known.lock().unwrap();
            let (epoch, last) = known.cursor.split_once('.').expect("a cursor");
            assert_eq!(frame["cursor"], format!("{epoch}.{}", last.parse::<u64>().unwrap() + 1), "no hole");
            known.cursor = text(frame, "cursor");
            if frame["event"]["type"] == "order_created" {
                known.placed.insert(text(&frame["event"]["data"], "order_id"));
            }
        }
        Some("resync") => {
            let listed = placed(http, url, who, business).await;
            let mut known = known.lock().unwrap();
            *known = Known { placed: listed, cursor: text(frame, "cursor"), resyncs: known.resyncs + 1 };
        }
        Some("ephemeral") => {}
        _ => panic!("{frame}"),
    }
}

/// What waits at a business, asked for until the store answers.
async fn placed(http: &reqwest::Client, url: &str, who: &Person, business: &str) -> BTreeSet<String> {
    let mut orders = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let list = format!("{url}/api/v1/orders?business_id={business}&status=placed&limit=50{cursor}");
        let answer = http.get(list).bearer_auth(&who.token).send().await.expect("the hub answers");
        if !answer.status().is_success() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let page: Value = answer.json().await.expect("it is JSON");
        orders.extend(page["items"].as_array().unwrap().iter().map(|order| text(order, "id")));
        let Some(next) = page["next_cursor"].as_str() else { return orders };
        cursor = format!("&cursor={next}");
    }
}

/// An order, asked for until it is placed.
async fn order(app: &TestApp, customer: &Person, business: &str) -> String {
    let ask = async || customer.post(app, "/orders", &order_body(business)).await;
    text(&until_placed(ask).await, "id")
}

fn alarms(app: &TestApp) -> u64 {
    let raised = |cause| app.metrics().epoch_rotations_total.with_label_values(&[cause]).get();
    raised("store_behind") + raised("other_event")
}

async fn copy(proxy: &Proxy, app: &TestApp) -> StandbyDatabase {
    proxy.set(NetworkFault::Refusing);
    let standby = app.standby().await;
    proxy.set(NetworkFault::None);
    standby
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_without_the_last_commits_under_load_leaves_no_client_with_a_hole() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let mut scenario = Scenario::new(&app, 3, 12).await;
    scenario.devices.clear();
    let merchant = scenario.merchant.clone();
    let quiet = merchant.business(&app).await;
    let customer = scenario.customers[0].clone();
    customer.order(&app, &quiet).await;
    an_order_each(&app, &scenario, "before").await;
    let mut clients = Vec::new();
    let businesses: Vec<String> = (0..3).map(|n| scenario.business_of(n).to_owned()).collect();
    for business in businesses.iter().chain([&quiet]) {
        clients.push(Client::start(&app, &merchant, business, None).await);
    }
    let away = Client::start(&app, &merchant, &businesses[0], None).await;

    let standby = copy(&proxy, &app).await;
    // What the standby lacks: 50 commits, the last of them in the quiet room.
    for n in 0..48 {
        order_until_placed(&app, &scenario, n % 12, &format!("lost-{n}")).await;
    }
    let lost = [order(&app, &customer, &quiet).await, order(&app, &customer, &quiet).await];
    let mut of_order = Device::open(&app, &customer, &format!("/ws/orders/{}", lost[1])).await;
    let heard_of_lost = |known: &Known| known.placed.contains(&lost[1]);
    clients[3].until("the quiet room hears of its orders", heard_of_lost).await;
    away.until("it is up to date", |known| known.placed.len() == 4 + 16).await;
    let before = away.leave();
    assert_eq!(alarms(&app), 0);

    // Orders are under way while it happens, and go on.
    let (_, ()) = tokio::join!(an_order_each(&app, &scenario, "under-way"), async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        proxy.promote(&standby.name);
    });
    for round in 0..6 {
        an_order_each(&app, &scenario, &format!("after-{round}")).await;
    }
    assert!(alarms(&app) > 0, "it is said aloud");
    clients[3].until("the quiet room is told though nobody orders", |known| known.resyncs > 0).await;
    assert_eq!(of_order.next().await["type"], "resync", "nor does an order that is gone stay silent");
    of_order.close().await;
    order(&app, &customer, &quiet).await;

    // By now its number has been given to another event.
    let head = Device::of_business(&app, &merchant, &businesses[0], None).await;
    let behind = seq(&serde_json::json!({"cursor": before.cursor}));
    assert!(seq(&head.hello["rooms"][0]) >= behind, "an old cursor looks like one of now");
    head.close().await;
    clients.push(Client::start(&app, &merchant, &businesses[0], Some(before)).await);
    for client in &clients {
        let truth = placed(&app.http, &app.url(""), &merchant, &client.business).await;
        client.until("it knows what the store has", |known| known.placed == truth).await;
        assert!(client.known().resyncs > 0, "it was told that it cannot go on");
        assert!(truth.iter().all(|order| !lost.contains(order)));
    }
    join_all(clients.into_iter().map(|client| async { client.leave() })).await;
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_without_the_last_commits_is_noticed_though_nobody_writes() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    customer.order(&app, &business).await;
    let client = Client::start(&app, &merchant, &business, None).await;
    let standby = copy(&proxy, &app).await;
    let lost = order(&app, &customer, &business).await;
    client.until("it hears of the order", |known| known.placed.contains(&lost)).await;
    proxy.promote(&standby.name);
    client.until("it is told", |known| known.resyncs > 0 && known.placed.len() == 1).await;
    assert!(alarms(&app) > 0);
    let next = order(&app, &customer, &business).await;
    client.until("and goes on", |known| known.placed.contains(&next)).await;
    client.leave();
    drop(app);
}

/// The epoch of each room, as the copy of a database has it.
async fn epochs(database: &StandbyDatabase) -> BTreeMap<String, i64> {
    let mut connection = PgConnection::connect(&database.url).await.expect("Postgres answers");
    let rows = sqlx::query_as::<_, (String, i64)>("SELECT room, epoch FROM room_seq");
    rows.fetch_all(&mut connection).await.expect("the table is there").into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hubs_give_each_room_of_a_standby_that_lacks_commits_one_new_epoch() {
    let (proxy, first) = TestApp::start_behind_proxy(&[]).await;
    let hubs = [first.start_another().await, first.start_another().await, first];
    let mut scenario = Scenario::new(&hubs[0], 3, 12).await;
    scenario.devices.clear();
    let merchant = scenario.merchant.clone();
    let quiet = merchant.business(&hubs[1]).await;
    let customer = scenario.customers[0].clone();
    customer.order(&hubs[2], &quiet).await;
    an_order_each(&hubs[0], &scenario, "before").await;
    let businesses: Vec<String> =
        (0..3).map(|n| scenario.business_of(n).to_owned()).chain([quiet.clone()]).collect();
    let mut clients = Vec::new();
    for (hub, business) in hubs.iter().flat_map(|hub| businesses.iter().map(move |business| (hub, business)))
    {
        clients.push(Client::start(hub, &merchant, business, None).await);
    }

    let standby = copy(&proxy, &hubs[0]).await;
    let before = epochs(&standby).await;
    // Each hub commits some of what the standby lacks, and hears of the rest from the store.
    for n in 0..12 {
        order_until_placed(&hubs[n % 3], &scenario, n % 12, &format!("lost-{n}")).await;
    }
    let lost = order(&hubs[1], &customer, &quiet).await;
    for client in &clients {
        let count = if client.business == quiet { 2 } else { 4 + 4 };
        client.until("it is up to date", |known| known.placed.len() == count).await;
    }
    proxy.promote(&standby.name);
    for hub in &hubs {
        an_order_each(hub, &scenario, &format!("after-{}", hub.address)).await;
    }
    for client in &clients {
        client.until("it is told that it cannot go on", |known| known.resyncs > 0).await;
        let truth = placed(&hubs[0].http, &hubs[0].url(""), &merchant, &client.business).await;
        assert!(!truth.contains(&lost));
        client.until("it knows what the store has", |known| known.placed == truth).await;
        assert_eq!(client.known().resyncs, 1, "and is told once");
    }
    let after = epochs(&standby).await;
    let changed: Vec<&String> = before.keys().filter(|room| before[*room] != after[*room]).collect();
    let of_businesses: BTreeSet<String> = businesses.iter().map(|id| format!("business:{id}")).collect();
    assert_eq!(changed.iter().filter(|room| of_businesses.contains(**room)).count(), 4, "{changed:?}");
    // The hub that noticed first may also tell of the rooms of its lost orders, four or five, which the standby never had.
    let (alarms, rooms): (u64, _) = (hubs.iter().map(alarms).sum(), changed.len() as u64);
    assert!(
        (rooms..=rooms + 5).contains(&alarms),
        "each new epoch is an alarm of one hub: {alarms}, {changed:?}"
    );
    clients.into_iter().for_each(|client| drop(client.leave()));
    drop(hubs);
}
