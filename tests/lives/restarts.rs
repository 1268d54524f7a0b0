//! Hubs on one database that are replaced one after the other, while shops and customers go on.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::s;
use crate::support::{Answer, Endpoint, Person, StoreKind, TestApp, order_body};
use crate::tills::{Afterwards, Open, Till, Told};

/// Time between two orders: five a second.
const PACE: Duration = Duration::from_millis(200);

/// Time that goes by at once: less than a lease of a business's devices.
const STEP: Duration = Duration::from_secs(5);

/// Shops of one merchant: as many devices of a user count.
const SHOPS_OF_A_MERCHANT: usize = 50;

/// Patience of the people at a shop: less than that of the hub before it calls them.
const ANSWERED_AFTER: Duration = Duration::from_secs(40);

/// People who order, in turn: none of them has more orders that wait at one shop than anybody may.
const CUSTOMERS: usize = 10;

/// Hubs on one database; clients know those that are not about to end.
struct Hubs {
    running: Vec<TestApp>,
    open: Open,
}

impl Hubs {
    async fn start(count: usize) -> Self {
        let settings = [("sessions.max_per_user", "100"), ("sessions.max_per_ip", "1000")];
        let mut running = vec![TestApp::start_with(StoreKind::Postgres, &settings).await];
        while running.len() < count {
            running.push(running[0].start_another().await);
        }
        let open = Open::default();
        running.iter().for_each(|hub| open.with(hub));
        Self { running, open }
    }

    /// Drains each hub in turn and starts another in its place.
    async fn replace_all(&mut self) {
        for hub in &mut self.running {
            self.open.without(hub);
            tokio::task::block_in_place(|| hub.stop());
            hub.start_again().await;
            self.open.with(hub);
        }
    }

    fn now(&self) -> Timestamp {
        self.running[0].timers().now()
    }

    /// Moves the time of all hubs ahead; what is due on the way is fired, and leases are renewed.
    async fn advance_to(&self, end: Timestamp) {
        while self.now() < end {
            let step = STEP.min(end.since(self.now())).max(Duration::from_millis(1));
            self.running.iter().for_each(|hub| hub.timers().advance(step));
            for hub in &self.running {
                hub.renew_leases().await;
            }
            self.until("what is due is fired", async || {
                let due = self.number("SELECT MIN(due_at) FROM order_sagas WHERE due_at IS NOT NULL").await;
                due.is_none_or(|due| Timestamp::from_micros(due) > self.now())
            })
            .await;
        }
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            while !holds().await {
                looks.tick().await;
            }
        };
        tokio::time::timeout(s(60), wait).await.unwrap_or_else(|_| panic!("not within a minute: {what}"));
    }

    async fn number(&self, sql: &str) -> Option<i64> {
        self.running[0].numbers(sql).await[0]
    }

    /// Messages and calls, made or only meant, to people who are not at their device.
    async fn loud(&self, channel: &str) -> Option<i64> {
        self.number(&format!("SELECT COUNT(*) FROM intents WHERE channel = '{channel}'")).await
    }
}

/// A merchant and one of their shops.
type Shop = (Person, String);

async fn shops(hub: &Endpoint, count: usize) -> Vec<Shop> {
    let mut shops = Vec::new();
    for n in 0..count.div_ceil(SHOPS_OF_A_MERCHANT) {
        let merchant = hub.person("merchant", &format!("Mia{n}")).await;
        let of_merchant = SHOPS_OF_A_MERCHANT.min(count - shops.len());
        let made = (0..of_merchant).map(|_| async { (merchant.clone(), merchant.business(hub).await) });
        shops.extend(stream::iter(made).buffered(8).collect::<Vec<Shop>>().await);
    }
    shops
}

/// An order, and who answers it.
struct Placed {
    merchant: Person,
    order: Value,
    waits: bool,
}

impl Placed {
    fn id(&self) -> String {
        self.order["id"].as_str().unwrap().to_owned()
    }

    async fn answer(&mut self, hub: &Endpoint) {
        if self.waits {
            self.merchant.move_order(hub, &self.order, "accepted").await;
            self.waits = false;
        }
    }
}

/// An order every [`PACE`] at one shop after the other, until told to stop; those that wait for long meanwhile are answered.
async fn order_all_the_time(
    customers: Vec<Person>,
    shops: Vec<Shop>,
    open: Open,
    end: CancellationToken,
) -> Vec<Placed> {
    let mut ticks = tokio::time::interval(PACE);
    let mut placed = JoinSet::new();
    for n in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => break,
        }
        let (merchant, business) = shops[n % shops.len()].clone();
        let (customer, open, end) = (customers[n % customers.len()].clone(), open.clone(), end.clone());
        placed.spawn(async move {
            let order = place(n, &customer, &business, &open).await;
            let mut placed = Placed { merchant, order, waits: true };
            tokio::select! {
                () = tokio::time::sleep(ANSWERED_AFTER) => placed.answer(&open.one(n)).await,
                () = end.cancelled() => {}
            }
            placed
        });
    }
    placed.join_all().await
}

/// Places an order; at another hub, under the same key, when this one has just begun to end or is too busy.
async fn place(n: usize, customer: &Person, business: &str, open: &Open) -> Value {
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for attempt in 0..100 {
        pace.tick().await;
        let request = customer.request(&open.one(n + attempt), Method::POST, "/orders");
        let request = request.header("idempotency-key", format!("order-{n}")).json(&order_body(business));
        match request.send().await {
            Ok(answer) if answer.status() != 503 => return Answer::read(answer).await.expect(201).json(),
            Ok(_) | Err(_) => {}
        }
    }
    panic!("no hub takes an order");
}

/// What came of a rolling restart.
struct Evening {
    hubs: Hubs,
    /// Orders that were placed while hubs were replaced.
    orders: Vec<Placed>,
    tills: JoinSet<Told>,
    closing: CancellationToken,
}

impl Evening {
    /// Shops open with a device each, and every hub is replaced while customers order.
    async fn with_a_rolling_restart(count: usize, afterwards: Afterwards) -> Self {
        let mut hubs = Hubs::start(3).await;
        let shops = shops(&hubs.open.one(0), count).await;
        let mut customers = Vec::new();
        for n in 0..CUSTOMERS {
            customers.push(hubs.open.one(0).person("customer", &format!("Guest{n}")).await);
        }
        let (closing, end) = (CancellationToken::new(), CancellationToken::new());
        let mut tills = JoinSet::new();
        for (n, shop) in shops.iter().enumerate() {
            let till = Till::new(n, shop.clone(), hubs.open.clone());
            tills.spawn(till.run(afterwards, closing.clone()));
        }
        let known = "SELECT COUNT(*) FROM businesses WHERE can_ring_since IS NOT NULL";
        hubs.until("every device has said that it can ring", async || {
            hubs.number(known).await == Some(i64::try_from(count).unwrap())
        })
        .await;
        let ordering = order_all_the_time(customers, shops, hubs.open.clone(), end.clone());
        let ordering = tokio::spawn(ordering);
        hubs.replace_all().await;
        end.cancel();
        let orders = ordering.await.unwrap();
        Self { hubs, orders, tills, closing }
    }

    async fn answer_all(&mut self) {
        for placed in &mut self.orders {
            placed.answer(&self.hubs.open.one(0)).await;
        }
    }

    /// When the first order was placed, by the store's time.
    async fn first_placed(&self) -> Timestamp {
        Timestamp::from_micros(self.hubs.number("SELECT MIN(placed_at) FROM orders").await.unwrap())
    }

    async fn told(mut self) -> Vec<Told> {
        self.closing.cancel();
        let mut told = Vec::new();
        while let Some(one) = self.tills.join_next().await {
            told.push(one.expect("a device does not panic"));
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_with_300_shops_and_five_orders_a_second_calls_nobody() {
    const SHOPS: usize = 300;
    let mut evening = Evening::with_a_rolling_restart(SHOPS, Afterwards::ComesBack).await;
    let hubs = &evening.hubs;
    let placed: BTreeSet<String> = evening.orders.iter().map(Placed::id).collect();
    let acknowledged = "SELECT COUNT(*) FROM order_acks";
    hubs.until("every order is acknowledged", async || {
        hubs.number(acknowledged).await == Some(i64::try_from(placed.len()).unwrap())
    })
    .await;
    // Long after the mail for an order that nobody has heard of, just before the call.
    hubs.advance_to(evening.first_placed().await.plus(s(55))).await;
    assert_eq!((hubs.loud("mail").await, hubs.loud("telephone").await), (Some(0), Some(0)));
    evening.answer_all().await;
    let hubs = &evening.hubs;
    hubs.advance_to(hubs.now().plus(s(120))).await;
    assert_eq!((hubs.loud("mail").await, hubs.loud("telephone").await), (Some(0), Some(0)));
    let paused = "SELECT COUNT(*) FROM businesses WHERE pauses IS NOT NULL";
    assert_eq!(hubs.number(paused).await, Some(0));
    let told = evening.told().await;
    assert!(told.iter().all(|device| device.losses >= 1), "every device had to find another hub");
    let orders: Vec<&String> = told.iter().flat_map(|device| &device.orders).collect();
    let different: BTreeSet<String> = orders.iter().map(|order| (*order).clone()).collect();
    assert_eq!((orders.len(), &different), (placed.len(), &placed), "each order was heard of once");
    assert!(placed.len() >= 25, "there were orders all the time: {}", placed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rolling_restart_shops_whose_devices_stay_away_are_written_to_and_called() {
    const SHOPS: usize = 12;
    let evening = Evening::with_a_rolling_restart(SHOPS, Afterwards::StaysAway).await;
    let hubs = &evening.hubs;
    hubs.advance_to(hubs.now().plus(s(75))).await;
    let loud = (hubs.loud("mail").await.unwrap(), hubs.loud("telephone").await.unwrap());
    assert!(loud.0 > 0 && loud.1 > 0, "{loud:?} for {} orders", evening.orders.len());
    assert!(evening.told().await.iter().all(|device| device.losses == 1));
}
