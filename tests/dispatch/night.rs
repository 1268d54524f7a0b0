//! A hub as a process of its own, with a database, a business, and drivers who ask for offers and take what they are offered.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::support::{Answer, Endpoint, Person, StoreKind, TestDatabase, order_body};

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two rounds of what people do.
const PACE: Duration = Duration::from_millis(50);

/// One night of one hub; it begins again whenever it has died.
pub(crate) struct Night {
    pub(crate) deaths: usize,
    database: TestDatabase,
    at: Endpoint,
    child: Option<Child>,
    people: Option<People>,
}

struct People {
    merchant: Person,
    customer: Person,
    business: String,
    drivers: Vec<Person>,
}

impl Night {
    /// A hub with a business and so many drivers near it, who are on.
    pub(crate) async fn begin(kind: StoreKind, drivers: usize) -> Self {
        let database = TestDatabase::create(kind).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut night = Self { deaths: 0, database, at, child: None, people: None };
        night.start(None).await;
        let merchant = night.at.person("merchant", "Mia").await;
        let business = merchant.business(&night.at).await;
        let customer = night.at.person("customer", "Carl").await;
        let mut all = Vec::new();
        for number in 0..drivers {
            let driver = night.at.person("driver", &format!("Dora{number}")).await;
            let profile = json!({"zones": ["lisbon"], "vehicle": "car", "capacity": 1});
            driver.patch(&night.at, "/drivers/me", &profile).await.expect(200);
            all.push(driver);
        }
        night.people = Some(People { merchant, customer, business, drivers: all });
        night
    }

    fn people(&self) -> &People {
        self.people.as_ref().expect("they came at the begin")
    }

    async fn start(&mut self, step: Option<&str>) {
        let folder = self.database.folder.path();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        let port = self.at.address.port().to_string();
        command.arg("--data").arg(folder.join("data")).args(["serve", "--port", &port]);
        command.env_clear().env("RUST_LOG", "warn").env("BELLHOP__LIMITS__ENABLED", "false");
        command.env("BELLHOP__DISPATCH__OFFER_S", "5").env("BELLHOP__DISPATCH__WAVE", "1");
        if let Some(postgres) = &self.database.postgres {
            command.env("DATABASE_URL", &postgres.url).env("BELLHOP__DATABASE__LANES", "2");
        }
        if let Some(step) = step {
            command.env("BELLHOP_FAIL_POINT", step);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            loop {
                pace.tick().await;
                if let Ok(answer) = self.at.http.get(self.at.url("/health/ready")).send().await
                    && answer.status().is_success()
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the hub starts");
    }

    /// Ends the hub without a word and starts one that dies at this step.
    pub(crate) async fn die_at(&mut self, step: &str) {
        self.kill();
        self.deaths = 0;
        self.start(Some(step)).await;
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the hub again when it has died.
    async fn revive(&mut self) {
        let ended = self.child.as_mut().expect("one was started").try_wait().unwrap();
        if ended.is_some() {
            self.deaths += 1;
            self.start(None).await;
        }
    }

    /// Asks until the hub answers, as every client does; one that is dead is started again.
    async fn ask(&mut self, make: impl Fn(&Self) -> RequestBuilder) -> Answer {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..PATIENCE.as_millis() / 10 {
            self.revive().await;
            if let Ok(response) = make(self).send().await {
                let status = response.status().as_u16();
                if let Ok(text) = response.text().await
                    && status != 503
                {
                    let status = StatusCode::from_u16(status).unwrap();
                    return Answer { status, headers: Default::default(), text };
                }
            }
            pace.tick().await;
        }
        panic!("it is never answered");
    }

    /// An order for drivers, accepted so that one is searched for at once. Each write happens once however often it is asked for.
    pub(crate) async fn accepted_order(&mut self) -> Value {
        let key = uuid::Uuid::new_v4().to_string();
        let placed = self.ask(|night| {
            let People { customer, business, .. } = night.people();
            let mut body = order_body(business);
            body["fulfilment"] = json!("delivery");
            body["customer"] = json!({"name": "Carl", "phone": "+351210000000"});
            body["address"] = json!({"text": "Rua 1", "lat": 38.702, "lng": -9.1});
            customer.request(&night.at, Method::POST, "/orders").header("idempotency-key", &key).json(&body)
        });
        let order = placed.await.expect(201).json();
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let body = json!({
            "status": "accepted", "version": order["version"], "prep_minutes": 5, "delivered_by": "drivers",
        });
        let accepted = self
            .ask(|night| night.people().merchant.request(&night.at, Method::PATCH, &path).json(&body))
            .await;
        // The answer may have been lost and the move not.
        assert!(matches!(accepted.status.as_u16(), 200 | 409), "{accepted:?}");
        order
    }

    /// What the app of a driver does: says that they are on and where, asks for offers, and takes what is there.
    async fn drive(&mut self, number: usize) {
        let place = json!({"lat": 38.7 + 0.001 * (number + 1) as f64, "lng": -9.1});
        let put = |path: &'static str, body: Value| {
            move |night: &Self| {
                night.people().drivers[number].request(&night.at, Method::PUT, path).json(&body)
            }
        };
        self.ask(put("/drivers/me/location", place)).await.expect(204);
        self.ask(put("/drivers/me/status", json!({"online": true}))).await.expect(200);
        let driver = move |night: &Self, method, path: &str| {
            night.people().drivers[number].request(&night.at, method, path)
        };
        let offers =
            self.ask(|night| driver(night, Method::GET, "/drivers/me/offers")).await.expect(200).json();
        for offer in offers["items"].as_array().unwrap() {
            let path = format!("/offers/{}/accept", offer["offer_id"].as_str().unwrap());
            let answer = self.ask(|night| driver(night, Method::POST, &path)).await;
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{answer:?}");
        }
    }

    /// Drivers work until the order is with one of them; the number of that one.
    pub(crate) async fn until_assigned(&mut self, order: &Value, case: &str) -> usize {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut pace = tokio::time::interval(PACE);
        let begun = tokio::time::Instant::now();
        let mut last = Value::Null;
        while begun.elapsed() < PATIENCE {
            for number in 0..self.people().drivers.len() {
                self.drive(number).await;
            }
            let read = self.ask(|night| night.people().merchant.request(&night.at, Method::GET, &path));
            last = read.await.expect(200).json();
            let driver = last["delivery"]["driver"]["id"].as_str();
            if let Some(number) = self.people().drivers.iter().position(|own| Some(own.id.as_str()) == driver)
            {
                return number;
            }
            pace.tick().await;
        }
        panic!("{case}: nobody has it: {last}");
    }

    /// Waits until the hub has died once at its step.
    pub(crate) async fn until_dead(&mut self, case: &str) {
        let mut pace = tokio::time::interval(PACE);
        for _ in 0..PATIENCE.as_millis() / PACE.as_millis() {
            self.revive().await;
            if self.deaths > 0 {
                return;
            }
            pace.tick().await;
        }
        panic!("{case}: the step was never reached");
    }

    /// The driver brings it to its end, whatever dies meanwhile.
    pub(crate) async fn deliver(&mut self, order: &Value, number: usize) {
        let id = order["id"].as_str().unwrap();
        let delivery = self.text(&format!("SELECT id FROM deliveries WHERE order_id = '{id}'")).await;
        let path = format!("/deliveries/{delivery}/steps");
        for step in ["picked_up", "delivered"] {
            let body = json!({"step": step});
            let taken = self.ask(|night| {
                night.people().drivers[number].request(&night.at, Method::POST, &path).json(&body)
            });
            taken.await.expect(200);
        }
    }

    /// Nobody has what somebody else has, or more than they may; what drivers' rows say is what they carry.
    pub(crate) async fn expect_consistent(&self, order: &Value, case: &str) {
        let id = order["id"].as_str().unwrap();
        for (what, sql, expected) in [
            (
                "one delivery of the order",
                format!("SELECT COUNT(*) FROM deliveries WHERE order_id = '{id}'"),
                1,
            ),
            (
                "one offer that was accepted",
                format!("SELECT COUNT(*) FROM offers WHERE order_id = '{id}' AND state = 'accepted'"),
                1,
            ),
            (
                "no open offer of what somebody has",
                format!("SELECT COUNT(*) FROM offers WHERE order_id = '{id}' AND state = 'open'"),
                0,
            ),
            (
                "one step to assigned",
                format!(
                    "SELECT COUNT(*) FROM deliveries d JOIN offers o ON o.delivery_id = d.id AND o.state = 'accepted' \
                     WHERE d.order_id = '{id}' AND o.driver_id = d.driver_id"
                ),
                1,
            ),
            (
                "drivers whose row is wrong",
                "SELECT COUNT(*) FROM drivers WHERE active <> (SELECT COUNT(*) FROM deliveries \
                 WHERE counts AND driver_id = user_id)"
                    .to_owned(),
                0,
            ),
            (
                "drivers with more than they may",
                "SELECT COUNT(*) FROM drivers WHERE active > capacity".to_owned(),
                0,
            ),
        ] {
            assert_eq!(self.number(&sql).await, expected, "{case}: {what}");
        }
    }

    /// The events of a kind about this order, in the rooms of drivers or of the order.
    pub(crate) async fn events(&self, kind: &str, status: &str, order: &Value) -> i64 {
        let id = order["id"].as_str().unwrap();
        let sql = format!(
            "SELECT COUNT(*) FROM room_events WHERE room = 'order:{id}' AND kind = '{kind}' \
             AND data LIKE '%\"status\":\"{status}\"%'"
        );
        self.number(&sql).await
    }

    async fn text(&self, sql: &str) -> String {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let (text,): (String,) = match &self.database.postgres {
            Some(postgres) => {
                let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
                sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap()
            }
            None => sqlx::query_as(sql).fetch_one(&mut self.file().await).await.unwrap(),
        };
        text
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let (number,): (i64,) = match &self.database.postgres {
            Some(postgres) => {
                let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
                sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap()
            }
            None => sqlx::query_as(sql).fetch_one(&mut self.file().await).await.unwrap(),
        };
        number
    }

    async fn file(&self) -> SqliteConnection {
        let file = self.database.folder.path().join("data/bellhop.sqlite");
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        self.kill();
    }
}
