//! Devices whose own clock is wrong: they count by the hub's.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, StoreKind, TestApp};

crate::on_both_stores!(
    a_device_whose_clock_is_a_day_ahead_answers_in_the_last_seconds,
    a_device_whose_clock_is_a_day_behind_answers_in_the_last_seconds,
    a_device_whose_clock_is_a_day_off_knows_when_it_is_too_late,
);

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The clock of a device, microseconds, and what it has learned of the hub's.
struct OwnClock {
    /// How far it is ahead of the right time.
    wrong_by: i64,
    /// What the test has moved the hub's time by meanwhile, which has gone by here as well.
    gone_by: Duration,
    /// How far it is ahead of the hub's, as of the last frame that said the hub's time.
    ahead_of_hub: i64,
}

impl OwnClock {
    fn wrong_by(wrong_by: i64) -> Self {
        Self { wrong_by, gone_by: Duration::ZERO, ahead_of_hub: 0 }
    }

    fn now(&self) -> i64 {
        Timestamp::now().plus(self.gone_by).as_micros() + self.wrong_by
    }

    /// Compares itself with the time in a frame, or in the data of an event.
    fn learn(&mut self, said: &Value) {
        self.ahead_of_hub = self.now() - micros(&said["now"]);
    }

    /// A time of the hub as this clock will show it then.
    fn when(&self, time_of_hub: &Value) -> i64 {
        micros(time_of_hub) + self.ahead_of_hub
    }

    /// Time until this clock shows so much.
    fn until(&self, own_time: i64) -> Duration {
        Duration::from_micros(u64::try_from(own_time - self.now()).expect("it is to come"))
    }

    async fn pass(&mut self, app: &TestApp, time: Duration) {
        app.advance(time).await;
        self.gone_by += time;
    }
}

fn micros(time: &Value) -> i64 {
    let time = time.as_str().and_then(Timestamp::parse_rfc3339);
    time.unwrap_or_else(|| panic!("no time")).as_micros()
}

/// A device that counts down by what the hub says, an order it has heard of, and when its time will be over by the device's clock.
struct Countdown {
    app: TestApp,
    clock: OwnClock,
    order: String,
    version: Value,
    token: String,
    over: i64,
}

impl Countdown {
    async fn begin(kind: StoreKind, wrong_by: i64) -> Self {
        // Few rings, between which the time that a test moves goes by at once.
        let app = TestApp::start_with(kind, &[("alerts.ring_every_s", "60")]).await;
        let (merchant, customer) =
            (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
        let business = merchant.business(&app).await;
        let mut clock = OwnClock::wrong_by(wrong_by);
        let mut device = Device::of_business(&app, &merchant, &business, None).await;
        clock.learn(&device.hello);
        let about_a_day = (clock.ahead_of_hub - wrong_by).abs();
        assert!(about_a_day < 20_000_000, "{about_a_day} µs beside what it is wrong by");
        customer.order(&app, &business).await;
        let created = device.next().await["event"]["data"].clone();
        let over = clock.when(&created["deadline_at"]);
        assert!(clock.until(over) > Duration::from_secs(450), "it has eight minutes");
        let countdown = clock.until(over) - Duration::from_secs(30);
        clock.pass(&app, countdown).await;
        device.send(json!({"type": "ping"})).await;
        let (mut last, mut rings) = (Value::Null, 0);
        loop {
            let frame = device.next().await;
            if frame["type"] == "alive" {
                clock.learn(&frame);
                break;
            }
            last = frame["event"]["data"].clone();
            rings += 1;
            let left = micros(&last["now"]) + 1000 * last["remaining_ms"].as_i64().expect("a number");
            assert!((micros(&last["deadline_at"]) - left).abs() <= 1000, "{last}");
        }
        assert!(rings >= 7, "{rings} rings in 450 s");
        assert_eq!(last["deadline_at"], created["deadline_at"]);
        let again = clock.when(&created["deadline_at"]);
        assert!((again - over).abs() < 20_000_000, "by alive it is the same moment as by hello");
        let (order, version) = (created["order_id"].as_str().expect("an id"), created["version"].clone());
        device.close().await;
        Self { app, clock, order: order.to_owned(), version, token: merchant.token, over: again }
    }

    /// Accepts the order, with the device's idea of the date.
    async fn accept(&self) -> Answer {
        let url = self.app.url(&format!("/api/v1/orders/{}/status", self.order));
        let date = Timestamp::from_micros(self.clock.now()).to_rfc3339();
        let accepted = json!({"status": "accepted", "version": self.version});
        let request = self.app.http.request(Method::PATCH, url).bearer_auth(&self.token);
        Answer::of(request.header("date", date).json(&accepted)).await
    }
}

async fn answers_in_the_last_seconds(kind: StoreKind, wrong_by: i64) {
    let mut countdown = Countdown::begin(kind, wrong_by).await;
    let almost = countdown.clock.until(countdown.over).saturating_sub(Duration::from_secs(10));
    countdown.clock.pass(&countdown.app, almost).await;
    assert_eq!(countdown.accept().await.expect(200).json()["status"], "accepted");
}

async fn a_device_whose_clock_is_a_day_ahead_answers_in_the_last_seconds(kind: StoreKind) {
    answers_in_the_last_seconds(kind, DAY).await;
}

async fn a_device_whose_clock_is_a_day_behind_answers_in_the_last_seconds(kind: StoreKind) {
    answers_in_the_last_seconds(kind, -DAY).await;
}

async fn a_device_whose_clock_is_a_day_off_knows_when_it_is_too_late(kind: StoreKind) {
    let mut countdown = Countdown::begin(kind, DAY).await;
    let too_late = countdown.clock.until(countdown.over) + Duration::from_secs(5);
    countdown.clock.pass(&countdown.app, too_late).await;
    let refused = countdown.accept().await.expect(409).json();
    assert_eq!(refused["status"], 409, "{refused}");
}
