//! Killed in the middle of orders, again and again: what was acknowledged is there once, rooms have no holes, devices
//! see every event once and in order.
#![allow(clippy::unwrap_used)]

mod clients;
mod history;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clients::{Answers, customer, device, pace};
use history::{DeviceLog, History, StoredOrder, StoredRoom};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use support::{Endpoint, PATIENT_VARIABLE, Person, StoreKind, TestDatabase};
use tokio::sync::watch;

const BUSINESSES: usize = 3;
const CUSTOMERS: usize = 6;
/// The longest pause between the last order of a cycle and the kill: several commits long.
const LONGEST_MOMENT: Duration = Duration::from_millis(30);

on_both_stores!(killed_in_the_middle_of_orders_nothing_acknowledged_is_lost_doubled_or_out_of_order);

/// How long and how hard; `scripts/crash` sets it.
struct Plan {
    cycles: usize,
    /// Acknowledged orders between two kills, on average.
    orders: usize,
    seed: u64,
}

impl Plan {
    fn from_environment() -> Self {
        let number = |key: &str, default: u64| {
            std::env::var(key).map_or(default, |text| text.parse().expect("a number"))
        };
        Self {
            cycles: number("BELLHOP_CRASH_CYCLES", 5) as usize,
            orders: number("BELLHOP_CRASH_ORDERS", 60) as usize,
            seed: number("BELLHOP_CRASH_SEED", 1),
        }
    }

    /// Whether this store is one of those meant.
    fn wants(kind: StoreKind) -> bool {
        let store = std::env::var("BELLHOP_CRASH_STORE").unwrap_or_default();
        match store.as_str() {
            "" | "both" => true,
            "sqlite" => kind == StoreKind::Sqlite,
            "postgres" => kind == StoreKind::Postgres,
            other => panic!("BELLHOP_CRASH_STORE is sqlite, postgres or both, not {other}"),
        }
    }

    /// A number below `bound` that follows from the seed, the cycle and what it is for.
    fn draw(&self, cycle: usize, what: &str, bound: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, cycle, what).hash(&mut hasher);
        hasher.finish() % bound
    }

    /// How many orders of the cycle are acknowledged before the kill: half to three halves of the average.
    fn orders_of(&self, cycle: usize) -> usize {
        self.orders / 2 + self.draw(cycle, "orders", self.orders as u64 + 1) as usize
    }

    /// From the last of them to the kill.
    fn moment_of(&self, cycle: usize) -> Duration {
        Duration::from_micros(self.draw(cycle, "moment", LONGEST_MOMENT.as_micros() as u64))
    }
}

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
            .env("RUST_LOG", "warn")
            .env("BELLHOP__DATABASE__LANES", "2")
            .env("BELLHOP__LIMITS__ENABLED", "false")
            .envs([PATIENT_VARIABLE]);
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

async fn ready(hub: &Endpoint) {
    let mut pace = pace();
    let wait = async {
        while hub.http.get(hub.url("/health/ready")).send().await.is_err() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the hub starts again");
}

/// Every room as the database itself has it.
async fn stored_rooms(database: &TestDatabase) -> Vec<StoredRoom> {
    const ROOMS: &str = "SELECT room, seq FROM room_seq ORDER BY room";
    const EVENTS: &str = "SELECT room, seq FROM room_events ORDER BY room, epoch, seq";
    type Positions = Vec<(String, i64)>;
    let (rooms, events): (Positions, Positions) = match &database.postgres {
        Some(postgres) => {
            let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
            let rooms = sqlx::query_as(ROOMS).fetch_all(&mut connection).await.unwrap();
            (rooms, sqlx::query_as(EVENTS).fetch_all(&mut connection).await.unwrap())
        }
        None => {
            let file = database.folder.path().join("data/bellhop.sqlite");
            let options = SqliteConnectOptions::new().filename(file).read_only(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let rooms = sqlx::query_as(ROOMS).fetch_all(&mut connection).await.unwrap();
            (rooms, sqlx::query_as(EVENTS).fetch_all(&mut connection).await.unwrap())
        }
    };
    let mut seqs: HashMap<String, Vec<u64>> = HashMap::new();
    for (room, seq) in events {
        seqs.entry(room).or_default().push(seq as u64);
    }
    rooms
        .into_iter()
        .map(|(room, head)| {
            let seqs = seqs.remove(&room).unwrap_or_default();
            StoredRoom { room, head: head as u64, seqs }
        })
        .collect()
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
    if !Plan::wants(kind) {
        return;
    }
    let plan = Plan::from_environment();
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
    let mut devices = Vec::new();
    let mut targets = Vec::new();
    for business in &businesses {
        for n in 0..2 {
            let (target, until) = watch::channel(0);
            targets.push((business.clone(), target));
            let name = format!("device {n} of {business}");
            let log = DeviceLog { name, business: business.clone(), events: Vec::new() };
            devices.push(tokio::spawn(device(hub.clone(), merchant.clone(), log, until)));
        }
    }
    let mut pace = pace();
    while hub_sockets(&hub).await < devices.len() {
        pace.tick().await;
    }
    let told = Arc::new(Answers::default());
    let mut customers = Vec::new();
    for n in 0..CUSTOMERS {
        let person = hub.person("customer", &format!("Carl{n}")).await;
        let business = businesses[n % BUSINESSES].clone();
        customers.push(tokio::spawn(customer(hub.clone(), person, business, told.clone())));
    }
    let mut table: Vec<Kill> = Vec::new();
    let (mut target, mut counted) = (0, 0);
    for cycle in 1..=plan.cycles {
        target += plan.orders_of(cycle);
        let mut enough = told.count.subscribe();
        let wait = async { enough.wait_for(|count| *count >= target).await.map(|count| *count) };
        let count = tokio::time::timeout(Duration::from_secs(120), wait).await;
        let before = count.expect("orders go on").unwrap();
        let moment = plan.moment_of(cycle);
        tokio::time::sleep(moment).await;
        process.kill();
        let killed = Instant::now();
        process = Hub::start(&database, port);
        ready(&hub).await;
        table.push(Kill { orders: before - counted, moment, ready: killed.elapsed() });
        counted = before;
    }
    told.over.store(true, Ordering::Relaxed);
    let mut history = History::default();
    for customer in customers {
        let customer = tokio::time::timeout(Duration::from_secs(120), customer);
        history.acknowledged.extend(customer.await.expect("every key is answered again").unwrap());
    }
    for business in &businesses {
        let orders = all_orders(&hub, &merchant, business).await;
        for (_, target) in targets.iter().filter(|(b, _)| b == business) {
            target.send(orders.len() as u64).unwrap();
        }
        history.orders.extend(orders.iter().map(|order| StoredOrder {
            id: order["id"].as_str().unwrap().to_owned(),
            business: business.clone(),
            number: order["order_number"].as_str().unwrap().to_owned(),
        }));
    }
    let (mut sockets, mut repeated) = (0, 0);
    for device in devices {
        let device = tokio::time::timeout(Duration::from_secs(60), device);
        let watcher = device.await.expect("devices catch up").unwrap();
        sockets += watcher.sockets;
        repeated += watcher.repeated;
        history.devices.push(watcher.log);
    }
    history.rooms = stored_rooms(&database).await;
    report(kind, &plan, &table, &history);
    let retries = told.retries.load(Ordering::Relaxed);
    let refusals = told.refusals.lock().unwrap().clone();
    let violations = history.violations();
    eprintln!(
        "{kind:?}: {} kills, {} orders acknowledged, {} stored in {} rooms, {retries} requests repeated, {sockets} \
         sockets, {repeated} events repeated on the wire, {} violations",
        table.len(),
        history.acknowledged.len(),
        history.orders.len(),
        history.rooms.len(),
        violations.len(),
    );
    for violation in &violations {
        eprintln!("violation: {violation}");
    }
    assert!(violations.is_empty() && refusals.is_empty(), "{violations:#?} {refusals:#?}");
}

/// One cycle: the orders acknowledged since the last kill, the pause after the last of them, and the time until the
/// next process was ready.
struct Kill {
    orders: usize,
    moment: Duration,
    ready: Duration,
}

fn report(kind: StoreKind, plan: &Plan, table: &[Kill], history: &History) {
    eprintln!("{kind:?}, seed {}, {} orders", plan.seed, history.orders.len());
    eprintln!("{:>6}  {:>7}  {:>14}  {:>9}", "kill", "orders", "after the last", "ready in");
    for (cycle, kill) in (1..).zip(table) {
        let (moment, ready) = (kill.moment.as_secs_f64() * 1e3, kill.ready.as_millis());
        eprintln!("{cycle:>6}  {:>7}  {moment:>11.1} ms  {ready:>6} ms", kill.orders);
    }
}

async fn hub_sockets(hub: &Endpoint) -> usize {
    let metrics = hub.http.get(hub.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|l| l.starts_with("websocket_connections_active")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}
