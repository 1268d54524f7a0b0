//! Killed in the middle of orders, again and again: what was acknowledged is there once, rooms have no holes, devices
//! see every event once and in order.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use support::{Endpoint, Person, StoreKind, TestDatabase, order_body, seq};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

const CYCLES: usize = 5;
const BUSINESSES: usize = 3;
const CUSTOMERS: usize = 6;
/// Acknowledged orders after which the hub is killed.
const ORDERS_A_CYCLE: usize = 60;

on_both_stores!(killed_in_the_middle_of_orders_nothing_acknowledged_is_lost_doubled_or_out_of_order);

/// The hub as a process of its own, which can be killed.
struct Hub {
    child: Child,
}

impl Hub {
    fn start(database: &TestDatabase, port: u16) -> Self {
        let log = File::options().create(true).append(true).open(database.folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.arg("--data").arg(database.folder.path().join("data")).args([
            "serve",
            "--port",
            &port.to_string(),
        ]);
        command
            .env_clear()
            .env("RUST_LOG", "info")
            .env("BELLHOP__DATABASE__LANES", "2")
            .env("BELLHOP__LIMITS__ENABLED", "false");
        if let Some(postgres) = &database.postgres {
            command.env("DATABASE_URL", &postgres.url);
        }
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child }
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Paces those who ask a process that may be down.
fn pace() -> tokio::time::Interval {
    tokio::time::interval(Duration::from_millis(5))
}

async fn ready(hub: &Endpoint) {
    let mut pace = pace();
    let wait = async {
        while hub.http.get(hub.url("/health/ready")).send().await.is_err() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the hub starts again");
}

/// What customers were told.
#[derive(Default)]
struct Acknowledged {
    /// The order each key was answered with.
    by_key: Mutex<HashMap<String, String>>,
    count: watch::Sender<usize>,
    retries: AtomicUsize,
    over: AtomicBool,
}

/// Orders without a pause; whatever is not answered with 201 is asked again with the same key until it is.
async fn customer(hub: Endpoint, person: Person, business: String, told: Arc<Acknowledged>) {
    let mut pace = pace();
    for n in 0.. {
        if told.over.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("{}-{n}", person.id);
        loop {
            let request = person
                .request(&hub, reqwest::Method::POST, "/orders")
                .header("idempotency-key", &key)
                .timeout(Duration::from_secs(15))
                .json(&order_body(&business));
            let answer = match request.send().await {
                Ok(answer) if answer.status() == 201 => answer.json::<Value>().await.ok(),
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    assert!(
                        matches!(status, 503 | 409),
                        "an order was refused: {}",
                        answer.text().await.unwrap_or_default()
                    );
                    None
                }
                Err(_) => None,
            };
            if let Some(order) = answer {
                let id = order["id"].as_str().unwrap().to_owned();
                let earlier = told.by_key.lock().unwrap().insert(key, id.clone());
                assert_eq!(earlier, None);
                told.count.send_modify(|count| *count += 1);
                break;
            }
            told.retries.fetch_add(1, Ordering::Relaxed);
            pace.tick().await;
        }
    }
}

/// What one device saw, over all its sockets.
#[derive(Default)]
struct Seen {
    orders: Vec<String>,
    last: u64,
    repeated: usize,
    sockets: usize,
}

/// Comes back with its cursor whenever the socket ends, drops what it has seen, and refuses holes. Ends when it has
/// seen everything up to `until` (0 while nobody knows).
async fn device(hub: Endpoint, person: Person, business: String, mut until: watch::Receiver<u64>) -> Seen {
    let mut seen = Seen::default();
    let mut cursor = String::new();
    let mut pace = pace();
    loop {
        let target = *until.borrow_and_update();
        if target > 0 && seen.last >= target {
            return seen;
        }
        let query = if cursor.is_empty() { String::new() } else { format!("?cursor={cursor}") };
        let path = format!("/ws/notifications/{business}{query}");
        let Some(mut socket) = support::Device::try_dial(&hub, &person.token, &path).await else {
            pace.tick().await;
            continue;
        };
        seen.sockets += 1;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = until.changed() => break,
            };
            let Some(Ok(message)) = message else { break };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            match frame["type"].as_str().unwrap() {
                "hello" if cursor.is_empty() => {
                    assert_eq!(seq(&frame["rooms"][0]), 0, "the device is there from the beginning");
                    frame["rooms"][0]["cursor"].as_str().unwrap().clone_into(&mut cursor);
                }
                "hello" => assert_eq!(frame["rooms"][0]["recovered"], true, "{frame}"),
                "event" if seq(&frame) <= seen.last => seen.repeated += 1,
                "event" => {
                    assert_eq!(seq(&frame), seen.last + 1, "a hole before {frame}");
                    seen.last += 1;
                    frame["cursor"].as_str().unwrap().clone_into(&mut cursor);
                    assert_eq!(frame["event"]["type"], "order_created");
                    seen.orders.push(frame["event"]["data"]["order_id"].as_str().unwrap().to_owned());
                }
                "reconnect" => {}
                _ => panic!("unexpected: {frame}"),
            }
            let target = *until.borrow();
            if target > 0 && seen.last >= target {
                return seen;
            }
        }
    }
}

async fn all_orders(hub: &Endpoint, merchant: &Person, business: &str) -> Vec<Value> {
    let mut orders = Vec::new();
    let mut query = format!("/orders?business_id={business}&limit=50");
    loop {
        let page = merchant.get(hub, &query).await.expect(200).json();
        orders.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("/orders?business_id={business}&limit=50&cursor={cursor}"),
            None => return orders,
        }
    }
}

async fn killed_in_the_middle_of_orders_nothing_acknowledged_is_lost_doubled_or_out_of_order(
    kind: StoreKind,
) {
    let database = TestDatabase::create(kind).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hub = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)));
    let mut process = Hub::start(&database, port);
    ready(&hub).await;

    let merchant = hub.person("merchant", "Mia").await;
    let mut businesses = Vec::new();
    for _ in 0..BUSINESSES {
        businesses.push(merchant.business(&hub).await);
    }
    let told = Arc::new(Acknowledged::default());
    let mut devices = Vec::new();
    let mut targets = Vec::new();
    for business in &businesses {
        for _ in 0..2 {
            let (target, until) = watch::channel(0);
            targets.push((business.clone(), target));
            devices.push((
                business.clone(),
                tokio::spawn(device(hub.clone(), merchant.clone(), business.clone(), until)),
            ));
        }
    }
    let mut pace = pace();
    while hub_sockets(&hub).await < devices.len() {
        pace.tick().await;
    }
    let mut customers = Vec::new();
    for n in 0..CUSTOMERS {
        let person = hub.person("customer", &format!("Carl{n}")).await;
        let business = businesses[n % BUSINESSES].clone();
        customers.push(tokio::spawn(customer(hub.clone(), person, business, told.clone())));
    }
    for cycle in 1..=CYCLES {
        let enough = told.count.subscribe();
        let wait = async move {
            enough.clone().wait_for(|count| *count >= cycle * ORDERS_A_CYCLE).await.map(|c| *c)
        };
        tokio::time::timeout(Duration::from_secs(120), wait).await.expect("orders go on").unwrap();
        process.kill();
        process = Hub::start(&database, port);
        ready(&hub).await;
    }
    told.over.store(true, Ordering::Relaxed);
    for customer in customers {
        customer.await.unwrap();
    }

    let by_key = told.by_key.lock().unwrap().clone();
    let acknowledged: HashSet<String> = by_key.values().cloned().collect();
    assert_eq!(acknowledged.len(), by_key.len(), "two keys were answered with one order");
    let mut stored = Vec::new();
    for business in &businesses {
        let orders = all_orders(&hub, &merchant, business).await;
        let numbers: HashSet<&str> = orders.iter().map(|o| o["order_number"].as_str().unwrap()).collect();
        assert_eq!(numbers.len(), orders.len(), "two orders of a day have one number");
        let count = orders.len() as u64;
        for (_, target) in targets.iter().filter(|(b, _)| b == business) {
            target.send(count).unwrap();
        }
        stored.push((business.clone(), orders));
    }
    let ids: Vec<String> =
        stored.iter().flat_map(|(_, o)| o).map(|o| o["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert_eq!(
        ids.into_iter().collect::<HashSet<_>>(),
        acknowledged,
        "every key was asked until it was answered"
    );
    let (mut sockets, mut repeated) = (0, 0);
    for (business, device) in devices {
        let seen =
            tokio::time::timeout(Duration::from_secs(60), device).await.expect("devices catch up").unwrap();
        let (_, orders) = stored.iter().find(|(b, _)| *b == business).unwrap();
        assert_eq!(seen.last, orders.len() as u64, "one event an order, numbered without a hole");
        let ids: HashSet<String> = orders.iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(seen.orders.iter().cloned().collect::<HashSet<_>>(), ids);
        assert_eq!(seen.orders.len(), orders.len());
        sockets += seen.sockets;
        repeated += seen.repeated;
    }
    let retries = told.retries.load(Ordering::Relaxed);
    eprintln!(
        "{kind:?}: {CYCLES} kills, {} orders acknowledged, {retries} requests repeated, {sockets} sockets, \
         {repeated} events repeated on the wire",
        acknowledged.len(),
    );
}

async fn hub_sockets(hub: &Endpoint) -> usize {
    let metrics = hub.http.get(hub.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|l| l.starts_with("websocket_connections_active")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}
