//! Redis delivers nothing, is away, hangs, is emptied: nobody waits for it, nothing is lost, and everything comes back by itself.

use std::time::{Duration, Instant};

use crate::support::{
    Answer, Device, NetworkFault, Person, RedisProxy, StoreKind, TestApp, own_prefix, redis_url, until,
};

/// The bound of 1.5 s for a lost message, and time for a machine that has other things to do.
const REPAIRED_WITHIN: Duration = Duration::from_secs(15);

/// Two hubs, each with a proxy of its own before the Redis, and a shop with a device at the second.
struct Pair {
    device: Device,
    first: TestApp,
    second: TestApp,
    proxies: [RedisProxy; 2],
    customer: Person,
    business: String,
}

impl Pair {
    /// None where there is no Redis to test with.
    async fn start() -> Option<Self> {
        Some(Self::on(&redis_url("BELLHOP_TEST_REDIS")?).await)
    }

    /// On the Redis of this URL.
    async fn on(url: &str) -> Self {
        let proxies = [RedisProxy::before(url).await, RedisProxy::before(url).await];
        let prefix = own_prefix();
        let settings = [
            ("redis.url", proxies[0].url()),
            ("redis.prefix", prefix.as_str()),
            ("limits.open_orders", "1000"),
        ];
        let first = TestApp::start_with(StoreKind::Postgres, &settings).await;
        let second = first.start_another_with(&[("redis.url", proxies[1].url())]).await;
        for hub in [&first, &second] {
            until("the bus is connected", || is_connected(hub)).await;
        }
        let (mut merchant, customer) =
            (first.person("merchant", "Mia").await, first.person("customer", "Carl").await);
        let business = merchant.business(&first).await;
        merchant.sign_in(&second, Some("till")).await;
        let device = Device::of_business(&second, &merchant, &business, None).await;
        Self { device, first, second, proxies, customer, business }
    }

    /// Orders at the first hub; the time until the device at the second has heard of it.
    async fn order(&mut self) -> Duration {
        let begun = Instant::now();
        let order = self.customer.order(&self.first, &self.business).await;
        let heard = loop {
            let heard = self.device.next_numbered().await;
            if heard["event"]["type"] == "order_created" {
                break heard;
            }
        };
        assert_eq!(heard["event"]["data"]["order_id"], order["id"], "{heard}");
        begun.elapsed()
    }

    /// Orders, and sees that the message came by the bus, trying again where the first one was too early for a subscription.
    async fn order_by_the_bus(&mut self) {
        let before = received(&self.second);
        for _ in 0..20 {
            self.order().await;
            if received(&self.second) > before {
                return;
            }
        }
        panic!("no message came by the bus");
    }

    fn set(&self, fault: NetworkFault) {
        self.proxies.iter().for_each(|proxy| proxy.set(fault));
    }

    async fn shows(&self, redis: &str) {
        let look = async {
            loop {
                let ready =
                    Answer::of(self.first.http.get(self.first.url("/health/ready"))).await.expect(200);
                if ready.json()["redis"] == redis {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect(redis);
    }

    async fn paused(&self) -> i64 {
        let paused = self.first.numbers("SELECT COUNT(*) FROM businesses WHERE pauses IS NOT NULL").await;
        paused[0].unwrap()
    }
}

fn is_connected(hub: &TestApp) -> bool {
    hub.metrics().bus_connected.get() == 1
}

fn received(hub: &TestApp) -> u64 {
    hub.metrics().bus_messages_total.with_label_values(&["received"]).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_one_hub_reaches_a_socket_of_another_by_the_bus() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.shows("healthy").await;
    pair.order_by_the_bus().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_redis_swallows_are_repaired_from_the_store() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.order_by_the_bus().await;
    let (before, repairs) = (received(&pair.second), pair.second.metrics().room_gap_repairs_total.get());
    pair.proxies[1].swallow_messages();
    for _ in 0..3 {
        let took = pair.order().await;
        assert!(took < REPAIRED_WITHIN, "{took:?}");
    }
    assert_eq!(received(&pair.second), before, "nothing came by the bus");
    assert!(pair.proxies[1].swallowed() > 0);
    assert!(pair.second.metrics().room_gap_repairs_total.get() > repairs);
    pair.proxies[1].deliver_messages();
    until("the bus is connected again", || is_connected(&pair.second)).await;
    pair.order_by_the_bus().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_alive_and_delivers_nothing_is_made_anew() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.order_by_the_bus().await;
    pair.proxies[1].swallow_messages_of_open_connections();
    until("the silence is noticed", || !is_connected(&pair.second)).await;
    assert!(is_connected(&pair.first), "the other hub has no reason to doubt");
    until("the bus is connected anew", || is_connected(&pair.second)).await;
    pair.order_by_the_bus().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_commands_go_on_events_arrive_and_no_shop_is_paused() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.order_by_the_bus().await;
    pair.device.send(serde_json::json!({"type": "device", "id": "till", "can_ring": true})).await;
    for fault in [NetworkFault::Refusing, NetworkFault::Stalled] {
        pair.set(fault);
        until("the loss is noticed", || !is_connected(&pair.first) && !is_connected(&pair.second)).await;
        pair.shows("unhealthy").await;
        for _ in 0..3 {
            let took = pair.order().await;
            assert!(took < REPAIRED_WITHIN, "{took:?} while {fault:?}");
        }
        pair.second.renew_leases().await;
        assert_eq!(pair.paused().await, 0);
        pair.set(NetworkFault::None);
        until("both are connected again", || is_connected(&pair.first) && is_connected(&pair.second)).await;
        pair.shows("healthy").await;
        pair.order_by_the_bus().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_emptied_is_not_missed() {
    let Some(url) = redis_url("BELLHOP_TEST_REDIS") else { return };
    // Tests share the server: a database of this one's own, so that no other loses anything.
    let mut own = reqwest::Url::parse(&url).unwrap();
    own.set_path("9");
    let mut pair = Pair::on(own.as_str()).await;
    pair.order_by_the_bus().await;
    let client = redis::Client::open(own.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHDB").exec_async(&mut connection).await.unwrap();
    pair.order_by_the_bus().await;
    assert!(is_connected(&pair.first) && is_connected(&pair.second));
    assert_eq!(pair.paused().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_starts_while_redis_is_away_and_finds_it_later() {
    let Some(url) = redis_url("BELLHOP_TEST_REDIS") else { return };
    let (proxy, prefix) = (RedisProxy::before(&url).await, own_prefix());
    proxy.set(NetworkFault::Refusing);
    let settings = [("redis.url", proxy.url()), ("redis.prefix", prefix.as_str())];
    let hub = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    assert!(!is_connected(&hub));
    proxy.set(NetworkFault::None);
    until("the bus is connected", || is_connected(&hub)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_one_hub_reaches_a_socket_of_another_over_a_redis_cluster() {
    let Some(url) = redis_url("BELLHOP_TEST_REDIS_CLUSTER") else { return };
    let prefix = own_prefix();
    let settings = [
        ("redis.url", url.as_str()),
        ("redis.cluster", "true"),
        ("redis.prefix", prefix.as_str()),
        ("limits.open_orders", "1000"),
    ];
    let first = TestApp::start_with(StoreKind::Postgres, &settings).await;
    let second = first.start_another().await;
    until("both are connected", || is_connected(&first) && is_connected(&second)).await;
    let (merchant, customer) =
        (first.person("merchant", "Mia").await, first.person("customer", "Carl").await);
    let business = merchant.business(&first).await;
    let mut device = Device::of_business(&second, &merchant, &business, None).await;
    for _ in 0..20 {
        customer.order(&first, &business).await;
        while device.next_numbered().await["event"]["type"] != "order_created" {}
        if received(&second) > 0 {
            return;
        }
    }
    panic!("no message came by the bus");
}

/// The figures of an outage of a minute; `cargo test --release --test cluster -- --ignored --nocapture figures` prints them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes two minutes and prints figures"]
async fn figures_of_a_redis_that_is_away_for_a_minute() {
    let Some(mut pair) = Pair::start().await else { return };
    for fault in [NetworkFault::None, NetworkFault::Refusing, NetworkFault::Stalled] {
        pair.set(fault);
        let (begun, mut times) = (Instant::now(), Vec::new());
        let long = if fault == NetworkFault::None { 10 } else { 60 };
        while begun.elapsed() < Duration::from_secs(long) {
            times.push(pair.order().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ended = Instant::now();
        pair.set(NetworkFault::None);
        until("both are connected again", || is_connected(&pair.first) && is_connected(&pair.second)).await;
        let back = ended.elapsed();
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
        println!(
            "{fault:?} for {long} s: {} orders, 0 failed; from POST to the other node p50 {} ms, p99 {} ms, most {} ms; \
             connected {} ms after its end",
            times.len(),
            at(50),
            at(99),
            at(100),
            back.as_millis()
        );
    }
}
