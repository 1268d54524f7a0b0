//! A hub as a process of its own, with a database, a provider that records everything, and people who try again until they are answered.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::support::{
    Answer, Endpoint, Person, RecordingProvider, StoreKind, TestDatabase, WEBHOOK_SECRET, order_body,
    signed_message,
};

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the shop's soup costs.
pub(crate) const PRICE: i64 = 250;

/// One evening of one hub; it begins again whenever it has died.
pub(crate) struct Evening {
    pub(crate) provider: RecordingProvider,
    pub(crate) deaths: usize,
    database: TestDatabase,
    settings: Vec<(String, String)>,
    at: Endpoint,
    child: Option<Child>,
    people: Option<(Person, Person, String)>,
}

impl Evening {
    pub(crate) async fn begin(kind: StoreKind, settings: &[(&str, &str)]) -> Self {
        let (database, provider) = (TestDatabase::create(kind).await, RecordingProvider::start().await);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut all = provider.settings();
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let mut evening =
            Self { provider, deaths: 0, database, settings: all, at, child: None, people: None };
        evening.start(None).await;
        let merchant = evening.at.person("merchant", "Mia").await;
        let business = merchant.business(&evening.at).await;
        let customer = evening.at.person("customer", "Carl").await;
        evening.people = Some((merchant, customer, business));
        evening
    }

    fn people(&self) -> &(Person, Person, String) {
        self.people.as_ref().expect("they came at the begin")
    }

    async fn start(&mut self, step: Option<&str>) {
        let folder = self.database.folder.path();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        let port = self.at.address.port().to_string();
        command.arg("--data").arg(folder.join("data")).args(["serve", "--port", &port]);
        command.env_clear().env("RUST_LOG", "warn").env("BELLHOP__LIMITS__ENABLED", "false");
        for (key, value) in &self.settings {
            command.env(format!("BELLHOP__{}", key.to_uppercase().replace('.', "__")), value);
        }
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

    /// Starts the hub again when it has died, after a minute as far as refunds know.
    async fn revive(&mut self) {
        let ended = self.child.as_mut().expect("one was started").try_wait().unwrap();
        if ended.is_some() {
            self.deaths += 1;
            self.minute_passes("due_at IS NOT NULL").await;
            self.start(None).await;
        }
    }

    /// Refunds of which this holds are due a minute earlier: what would take a minute is waited for by nobody.
    async fn minute_passes(&self, of: &str) {
        self.execute(format!("UPDATE refunds SET due_at = due_at - 60000000 WHERE {of}")).await;
    }

    /// Asks until the hub answers, as every client does; one that is dead is started again.
    async fn ask(&mut self, make: impl Fn(&Self) -> RequestBuilder) -> Answer {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..PATIENCE.as_millis() / 10 {
            self.revive().await;
            if let Ok(response) = make(self).send().await {
                let status = response.status().as_u16();
                let text = response.text().await;
                if let Ok(text) = text
                    && status != 503
                {
                    let status = reqwest::StatusCode::from_u16(status).unwrap();
                    return Answer { status, headers: Default::default(), text };
                }
            }
            pace.tick().await;
        }
        panic!("it is never answered");
    }

    /// An order to be paid online, placed once however often it is asked for.
    pub(crate) async fn order(&mut self) -> Value {
        let key = uuid::Uuid::new_v4().to_string();
        let order = self.ask(|evening| {
            let (_, customer, business) = evening.people();
            let mut body = order_body(business);
            body["payment"] = json!("online");
            customer.request(&evening.at, Method::POST, "/orders").header("idempotency-key", &key).json(&body)
        });
        order.await.expect(201).json()
    }

    /// The payment of an order, begun once however often it is asked for.
    pub(crate) async fn initiate(&mut self, order: &Value) -> String {
        let key = uuid::Uuid::new_v4().to_string();
        let body = json!({"order_id": order["id"]});
        let answer = self.ask(|evening| {
            let request = evening.people().1.request(&evening.at, Method::POST, "/payments/initiate");
            request.header("idempotency-key", &key).json(&body)
        });
        let answer = answer.await;
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{answer:?}");
        let payment = answer.json();
        assert!(payment["redirect_url"].is_string(), "{payment}");
        payment["payment_id"].as_str().unwrap().to_owned()
    }

    /// Tells the hub what became of a payment, until it has taken it in.
    pub(crate) async fn tell(&mut self, order: &Value, payment: &str, status: &str) {
        let body = json!({"payment_id": payment, "order_id": order["id"], "status": status});
        self.ask(|evening| signed_message(&evening.at, WEBHOOK_SECRET, &body)).await.expect(200);
    }

    /// The business refuses an order.
    pub(crate) async fn reject(&mut self, order: &Value) {
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let body = json!({"status": "rejected", "version": order["version"]});
        let answer =
            self.ask(|evening| evening.people().0.request(&evening.at, Method::PATCH, &path).json(&body));
        let answer = answer.await;
        // The answer may have been lost and the move not.
        assert!(matches!(answer.status.as_u16(), 200 | 409), "{answer:?}");
    }

    /// Waits until an order stands so, and lets time pass for refunds that wait to be asked about.
    pub(crate) async fn until(&mut self, order: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let mut last = Value::Null;
        for _ in 0..PATIENCE.as_millis() / 50 {
            let read = self.ask(|evening| evening.people().0.request(&evening.at, Method::GET, &path));
            last = read.await.expect(200).json();
            if holds(&last) {
                return last;
            }
            self.minute_passes("state = 'unknown'").await;
            pace.tick().await;
        }
        panic!("never {what}: {last}");
    }

    /// Waits until the hub has died once at its step, and starts it again.
    pub(crate) async fn until_dead(&mut self, case: &str) {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..PATIENCE.as_millis() / 20 {
            self.revive().await;
            if self.deaths > 0 {
                return;
            }
            pace.tick().await;
        }
        panic!("{case}: the step was never reached");
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.at.clone()
    }

    /// Waits until no message is left to work on.
    pub(crate) async fn until_worked_on(&self) {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let left = "SELECT COUNT(*) FROM payment_messages WHERE due_at IS NOT NULL";
        while self.number(left).await > 0 {
            pace.tick().await;
        }
    }

    /// Everything once: one payment, captured once; one refund, returned once; one event of each; nothing is left.
    pub(crate) async fn expect_once(&self, order: &Value, payment: &str, case: &str) {
        let id = order["id"].as_str().unwrap();
        assert_eq!(self.provider.stands(payment).unwrap().captures, 1, "{case}: captured once");
        assert_eq!(self.provider.returned(payment), (1, PRICE), "{case}: returned once");
        let of_order = self.provider.book().payments.values().filter(|paid| paid.order == id).count();
        assert_eq!(of_order, 1, "{case}: one payment at the provider");
        for (what, sql) in [
            ("payments", format!("SELECT COUNT(*) FROM payments WHERE order_id = '{id}'")),
            (
                "refunds",
                format!("SELECT COUNT(*) FROM refunds WHERE order_id = '{id}' AND state = 'succeeded'"),
            ),
            ("refunds in all", format!("SELECT COUNT(*) FROM refunds WHERE order_id = '{id}'")),
            ("payment_received", events(id, "payment_received")),
            ("payment_refunded", events(id, "payment_refunded")),
        ] {
            assert_eq!(self.number(&sql).await, 1, "{case}: {what}");
        }
        let left = "SELECT COUNT(*) FROM dead_letters WHERE state = 'open'";
        assert_eq!(self.number(left).await, 0, "{case}: no fault of the hub makes a dead letter");
    }

    async fn execute(&self, sql: String) {
        let sql = sqlx::AssertSqlSafe(sql);
        match &self.database.postgres {
            Some(postgres) => {
                PgConnection::connect(&postgres.url).await.unwrap().execute(sql).await.unwrap();
            }
            None => {
                let file = self.database.folder.path().join("data/bellhop.sqlite");
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
                SqliteConnection::connect_with(&options).await.unwrap().execute(sql).await.unwrap();
            }
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let (number,): (i64,) = match &self.database.postgres {
            Some(postgres) => {
                let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
                sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap()
            }
            None => {
                let file = self.database.folder.path().join("data/bellhop.sqlite");
                let options = SqliteConnectOptions::new().filename(file).read_only(true);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap()
            }
        };
        number
    }
}

impl Drop for Evening {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.database.folder.path().join("log"))
        {
            eprintln!("{log}");
        }
    }
}

fn events(order: &str, kind: &str) -> String {
    format!("SELECT COUNT(*) FROM room_events WHERE room = 'order:{order}' AND kind = '{kind}'")
}
