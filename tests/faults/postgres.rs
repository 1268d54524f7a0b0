//! A database and a network before it that fail at the worst moment: what was promised is kept, and it goes on by
//! itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::support::{Answer, Device, Person, Spoiled, TestApp, Weather, order_body, seq};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;

/// Businesses, each with two devices, and who orders there.
struct Town {
    merchant: Person,
    customers: Vec<Person>,
    businesses: Vec<String>,
    devices: Vec<(usize, Device)>,
}

impl Town {
    async fn new(app: &TestApp, businesses: usize, customers: usize) -> Self {
        let merchant = app.person("merchant", "Mia").await;
        let mut town = Self { merchant, customers: Vec::new(), businesses: Vec::new(), devices: Vec::new() };
        for n in 0..customers {
            town.customers.push(app.person("customer", &format!("Carl{n}")).await);
        }
        for n in 0..businesses {
            let business = town.merchant.business(app).await;
            for _ in 0..2 {
                town.devices.push((n, Device::of_business(app, &town.merchant, &business, None).await));
            }
            town.businesses.push(business);
        }
        town
    }

    fn business_of(&self, customer: usize) -> &str {
        &self.businesses[customer % self.businesses.len()]
    }

    /// Asks for the order of this key once.
    async fn order(&self, app: &TestApp, customer: usize, key: &str) -> Answer {
        let request = self.customers[customer]
            .request(app, Method::POST, "/orders")
            .header("idempotency-key", key)
            .json(&order_body(self.business_of(customer)));
        Answer::of(request).await
    }

    /// Every order of every business, after seeing that each device got one event for each, in order.
    async fn settle(mut self, app: &TestApp) -> HashSet<String> {
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
            for (_, device) in self.devices.iter_mut().filter(|(of, _)| *of == n) {
                let events = device.events(orders.len()).await;
                let seqs: Vec<u64> = events.iter().map(seq).collect();
                assert_eq!(seqs, (1..=orders.len() as u64).collect::<Vec<_>>(), "no hole, none twice");
                let told: HashSet<String> =
                    events.iter().map(|e| text(&e["event"]["data"], "order_id")).collect();
                assert_eq!(told, stored, "an event for each order");
                device.settle().await;
            }
            all.extend(stored);
        }
        for (_, device) in self.devices {
            device.close().await;
        }
        all
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

/// 200 orders of 20 customers while every COMMIT that carries work is spoiled.
async fn two_hundred_orders_while_commits_are(spoiled: Spoiled) {
    // One lane, so that the COMMIT that asks again is always the next one; nothing is shed for waiting meanwhile.
    let settings = [("database.lanes", "1"), ("persistence.queue_age_ms", "60000")];
    let (app, proxy) = TestApp::start_behind_proxy(&settings).await;
    let town = Town::new(&app, 4, 20).await;
    proxy.spoil_every_other_commit(spoiled);
    let began = Instant::now();
    let placed = join_all((0..town.customers.len()).map(|customer| {
        let (app, town) = (&app, &town);
        async move {
            let mut placed = Vec::new();
            for n in 0..10 {
                let answer = town.order(app, customer, &format!("{customer}-{n}")).await.expect(201);
                placed.push(text(&answer.json(), "id"));
            }
            placed
        }
    }))
    .await
    .concat();
    let took = began.elapsed();
    let count = proxy.spare_commits();
    let acknowledged: HashSet<String> = placed.iter().cloned().collect();
    assert_eq!((placed.len(), acknowledged.len()), (200, 200));
    assert!(count >= 10, "each round of orders needs a COMMIT at least: {count}");
    let told = Instant::now();
    assert_eq!(town.settle(&app).await, acknowledged);
    eprintln!("{spoiled:?}: {count} COMMITs; 200 orders in {took:?}, all events {:?} later", told.elapsed());
}

#[tokio::test]
async fn a_commit_whose_answer_is_eaten_happens_once_and_its_callers_hear_so() {
    two_hundred_orders_while_commits_are(Spoiled::AnswerEaten).await;
}

#[tokio::test]
async fn a_commit_that_never_arrives_happens_once_and_its_callers_hear_so() {
    two_hundred_orders_while_commits_are(Spoiled::NeverArrives).await;
}

/// Asks with one key until it is answered with 201; every other answer has to be a 503.
async fn order_until_placed(app: &TestApp, town: &Town, customer: usize, key: &str) -> String {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        let answer = town.order(app, customer, key).await;
        match answer.status.as_u16() {
            201 => return text(&answer.json(), "id"),
            503 => assert!(answer.headers.contains_key("retry-after"), "{}", answer.text),
            _ => panic!("{} {}", answer.status, answer.text),
        }
    }
}

/// An order of every customer, each under a key of its own.
async fn an_order_each(app: &TestApp, town: &Town, round: &str) -> Vec<String> {
    let orders = (0..town.customers.len()).map(|customer| async move {
        order_until_placed(app, town, customer, &format!("{round}-{customer}")).await
    });
    join_all(orders).await
}

#[tokio::test]
async fn while_postgres_is_stalled_writes_are_refused_in_time_and_afterwards_nothing_is_lost_or_doubled() {
    let (app, proxy) = TestApp::start_behind_proxy(&[]).await;
    let town = Town::new(&app, 3, 12).await;
    let quiet = town.merchant.business(&app).await;
    let mut quiet = Device::of_business(&app, &town.merchant, &quiet, None).await;
    let mut placed = an_order_each(&app, &town, "before").await;
    proxy.set(Weather::Stalled);
    let began = Instant::now();
    let refused = join_all((0..town.customers.len()).map(|customer| {
        let (app, town) = (&app, &town);
        async move {
            let answer = town.order(app, customer, &format!("during-{customer}")).await;
            (answer, began.elapsed())
        }
    }))
    .await;
    let slowest = refused.iter().map(|(_, took)| *took).max().unwrap();
    for (answer, took) in refused {
        let answer = answer.expect(503);
        assert!(answer.headers.contains_key("retry-after"), "{}", answer.text);
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
    quiet.settle().await;
    assert_eq!(app.sessions().open(), town.devices.len() + 1, "sockets stay open");
    quiet.close().await;
    proxy.set(Weather::Fair);
    let fair = Instant::now();
    placed.extend(an_order_each(&app, &town, "during").await);
    eprintln!("stalled: the slowest 503 after {slowest:?}; all written {:?} after the stall", fair.elapsed());
    placed.extend(an_order_each(&app, &town, "after").await);
    settled(town, &app, placed).await;
}

/// The devices have seen, and the store holds, exactly what was acknowledged.
async fn settled(town: Town, app: &TestApp, placed: Vec<String>) {
    let acknowledged: HashSet<String> = placed.iter().cloned().collect();
    assert_eq!(acknowledged.len(), placed.len(), "two keys were answered with one order");
    assert_eq!(town.settle(app).await, acknowledged);
}

#[tokio::test]
async fn cut_and_refused_for_a_while_writes_resume_by_themselves() {
    let (app, proxy) = TestApp::start_behind_proxy(&[]).await;
    let town = Town::new(&app, 3, 12).await;
    let mut placed = an_order_each(&app, &town, "before").await;
    // Cut in the middle of orders.
    let (during, ()) = tokio::join!(an_order_each(&app, &town, "cut"), async { proxy.cut() });
    placed.extend(during);
    proxy.set(Weather::Refusing);
    for attempt in 0..20 {
        let answer = town.order(&app, attempt % town.customers.len(), "refused").await;
        answer.expect(503);
    }
    assert_eq!(app.sessions().open(), town.devices.len(), "sockets stay open");
    proxy.set(Weather::Fair);
    let fair = Instant::now();
    placed.push(order_until_placed(&app, &town, 0, "first").await);
    eprintln!("refused: the first order {:?} after Postgres was back", fair.elapsed());
    placed.extend(an_order_each(&app, &town, "after").await);
    settled(town, &app, placed).await;
}

#[tokio::test]
async fn a_slow_road_to_postgres_shares_transactions_and_loses_nothing() {
    let (app, proxy) = TestApp::start_behind_proxy(&[("persistence.queue_age_ms", "5000")]).await;
    let town = Town::new(&app, 2, 12).await;
    proxy.set(Weather::Slow(Duration::from_millis(5)));
    let mut placed = an_order_each(&app, &town, "slow").await;
    proxy.set(Weather::Fair);
    placed.extend(an_order_each(&app, &town, "after").await);
    settled(town, &app, placed).await;
}
