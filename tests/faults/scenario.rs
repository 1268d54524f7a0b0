//! Businesses with devices and customers, and the check that every device got every order once and in order.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Answer, Device, Person, TestApp, order_body, seq};

/// How long a device may take to catch up in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device that reads all the time, as real ones do.
pub(crate) struct Watcher {
    business: usize,
    /// How many events there are in all, once that is known.
    until: watch::Sender<Option<usize>>,
    events: JoinHandle<Vec<Value>>,
}

impl Watcher {
    fn new(business: usize, device: Device) -> Self {
        let (until, known) = watch::channel(None);
        Self { business, until, events: tokio::spawn(watch_until(device, known)) }
    }
}

/// Everything the socket brings. It may not end by itself, and after the last event there may be none.
async fn watch_until(mut device: Device, mut until: watch::Receiver<Option<usize>>) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let known = *until.borrow_and_update();
        if known.is_some_and(|count| events.len() >= count) {
            device.send(json!({"type": "ping"})).await;
            assert_eq!(device.next_numbered().await["type"], "alive");
            device.close().await;
            return events;
        }
        tokio::select! {
            message = device.socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    match frame["type"].as_str() {
                        Some("event") => events.push(frame),
                        // An order that waits rings again.
                        Some("ephemeral") => {}
                        _ => panic!("{frame}"),
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a socket ended: {other:?}"),
            },
            changed = until.changed() => if changed.is_err() { return events; },
        }
    }
}

/// Businesses, each with two devices, and who orders there.
pub(crate) struct Scenario {
    pub(crate) merchant: Person,
    pub(crate) customers: Vec<Person>,
    businesses: Vec<String>,
    pub(crate) devices: Vec<Watcher>,
}

impl Scenario {
    pub(crate) async fn new(app: &TestApp, businesses: usize, customers: usize) -> Self {
        let merchant = app.person("merchant", "Mia").await;
        let mut scenario =
            Self { merchant, customers: Vec::new(), businesses: Vec::new(), devices: Vec::new() };
        for n in 0..customers {
            scenario.customers.push(app.person("customer", &format!("Carl{n}")).await);
        }
        for n in 0..businesses {
            let business = scenario.merchant.business(app).await;
            for _ in 0..2 {
                let device = Device::of_business(app, &scenario.merchant, &business, None).await;
                scenario.devices.push(Watcher::new(n, device));
            }
            scenario.businesses.push(business);
        }
        scenario
    }

    pub(crate) fn business_of(&self, customer: usize) -> &str {
        &self.businesses[customer % self.businesses.len()]
    }

    /// Asks for the order of this key once.
    pub(crate) async fn order(&self, app: &TestApp, customer: usize, key: &str) -> Answer {
        let request = self.customers[customer]
            .request(app, Method::POST, "/orders")
            .header("idempotency-key", key)
            .json(&order_body(self.business_of(customer)));
        Answer::of(request).await
    }

    /// Every order of every business, after seeing that each device got one event for each, in order.
    pub(crate) async fn settle(mut self, app: &TestApp) -> HashSet<String> {
        let mut all = HashSet::new();
        for (n, business) in self.businesses.iter().enumerate() {
            let path = format!("/orders?business_id={business}&limit=50");
            let mut orders = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = self.merchant.get(app, &format!("{path}{cursor}")).await.expect(200).json();
                orders.extend(page["items"].as_array().unwrap().iter().map(|o| text(o, "id")));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let stored: HashSet<String> = orders.iter().cloned().collect();
            assert_eq!(stored.len(), orders.len());
            for watcher in self.devices.iter_mut().filter(|watcher| watcher.business == n) {
                watcher.until.send(Some(orders.len())).unwrap();
                let events = tokio::time::timeout(PATIENCE, &mut watcher.events);
                let events = events.await.expect("devices catch up").expect("its socket stays open");
                let seqs: Vec<u64> = events.iter().map(seq).collect();
                assert_eq!(seqs, (1..=orders.len() as u64).collect::<Vec<_>>(), "no hole, none twice");
                let told: HashSet<String> =
                    events.iter().map(|e| text(&e["event"]["data"], "order_id")).collect();
                assert_eq!(told, stored, "an event for each order");
            }
            all.extend(stored);
        }
        all
    }
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

/// Asks until it is answered with 201, and gives the order; every other answer has to be a 503.
pub(crate) async fn until_placed(ask: impl AsyncFn() -> Answer) -> Value {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        let answer = ask().await;
        match answer.status.as_u16() {
            201 => return answer.json(),
            503 => assert!(answer.headers.contains_key("retry-after"), "{}", answer.text),
            _ => panic!("{} {}", answer.status, answer.text),
        }
    }
}

/// An order under one key, asked for until it is placed.
pub(crate) async fn order_until_placed(
    app: &TestApp,
    scenario: &Scenario,
    customer: usize,
    key: &str,
) -> String {
    text(&until_placed(async || scenario.order(app, customer, key).await).await, "id")
}

/// An order of every customer, each under a key of its own.
pub(crate) async fn an_order_each(app: &TestApp, scenario: &Scenario, round: &str) -> Vec<String> {
    let orders = (0..scenario.customers.len()).map(|customer| async move {
        order_until_placed(app, scenario, customer, &format!("{round}-{customer}")).await
    });
    join_all(orders).await
}

/// The devices have seen, and the store holds, exactly what was acknowledged.
pub(crate) async fn settled(scenario: Scenario, app: &TestApp, placed: Vec<String>) {
    let acknowledged: HashSet<String> = placed.iter().cloned().collect();
    assert_eq!(acknowledged.len(), placed.len(), "two keys were answered with one order");
    assert_eq!(scenario.settle(app).await, acknowledged);
}
