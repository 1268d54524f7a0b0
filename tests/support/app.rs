use std::net::SocketAddr;
use std::thread::JoinHandle;

use std::time::Duration;

use bellhop::actors::session::Sessions;
use bellhop::app::{App, RunError, Stopper};
use bellhop::config::{Settings, Sources};
use bellhop::telemetry::Metrics;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::database::{Database, StoreKind};
use super::person::Person;

/// Where a hub answers, and a client to ask it.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub http: reqwest::Client,
}

impl Endpoint {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, http: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Signs somebody up and in.
    pub async fn person(&self, role: &str, name: &str) -> Person {
        Person::new(self, role, name).await
    }
}

/// A running hub on a free port. Dropping it stops it cleanly and fails the test if a socket was left open.
pub struct TestApp {
    database: Option<Database>,
    overrides: Vec<(String, String)>,
    running: Option<Running>,
    endpoint: Endpoint,
}

impl std::ops::Deref for TestApp {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

struct Running {
    stopper: Stopper,
    sessions: Sessions,
    metrics: Metrics,
    thread: JoinHandle<Result<(), RunError>>,
}

impl TestApp {
    pub async fn start(kind: StoreKind) -> Self {
        Self::start_with(kind, &[]).await
    }

    /// With settings other than the defaults, like `("sessions.outbox_frames", "4")`.
    pub async fn start_with(kind: StoreKind, overrides: &[(&str, &str)]) -> Self {
        let database = Database::create(kind).await;
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let endpoint = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut app = Self { database: Some(database), overrides, running: None, endpoint };
        app.run().await;
        app
    }

    fn settings(&self) -> Settings {
        let database = self.database.as_ref().expect("the database lives as long as the app");
        let mut sources = Sources::bare(database.folder.path()).with("server.port", "0");
        if let Some(postgres) = &database.postgres {
            sources = sources.with("database.url", postgres.url.clone()).with("database.lanes", "2");
        }
        for (key, value) in &self.overrides {
            sources = sources.with(key, value.clone());
        }
        Settings::load(&sources).expect("the test's settings are good")
    }

    async fn run(&mut self) {
        let settings = self.settings();
        let (started, start) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = App::build(settings).await.expect("the hub starts");
                let handles = (app.address(), app.stopper(), app.sessions().clone(), app.metrics().clone());
                let _ = started.send(handles);
                app.run().await
            })
        });
        let (address, stopper, sessions, metrics) = start.await.expect("the hub says that it listens");
        self.running = Some(Running { stopper, sessions, metrics, thread });
        self.endpoint.address = address;
        // It listens before it is ready; requests wait in the backlog until then.
        loop {
            let ready =
                self.http.get(format!("http://{address}/health/ready")).send().await.expect("it answers");
            if ready.status().is_success() {
                break;
            }
        }
    }

    /// Stops the hub cleanly and starts another on the same data (and another port).
    pub async fn restart(&mut self) {
        self.stop();
        self.run().await;
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stopper.stop();
            let ended = running.thread.join();
            if !std::thread::panicking() {
                ended.expect("the hub does not panic").expect("the hub stops cleanly");
                assert_eq!(running.sessions.open(), 0, "a session outlived its hub");
            }
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the hub runs")
    }

    /// The devices that have acknowledged something in a room, and how far; waits until there is one.
    pub async fn stored_acks(&self, room: &str) -> Vec<(String, i64)> {
        const ACKS: &str = "SELECT device, seq FROM device_acks WHERE room = $1 ORDER BY device";
        let mut polls = tokio::time::interval(Duration::from_millis(5));
        let stored = async {
            loop {
                polls.tick().await;
                let rows = match self.postgres_url() {
                    Some(url) => {
                        let mut connection = PgConnection::connect(url).await.expect("Postgres answers");
                        sqlx::query_as(ACKS).bind(room).fetch_all(&mut connection).await
                    }
                    None => {
                        let file = self.data_folder().join("bellhop.sqlite");
                        let options = SqliteConnectOptions::new().filename(file).read_only(true);
                        let mut connection =
                            SqliteConnection::connect_with(&options).await.expect("it opens");
                        sqlx::query_as(ACKS).bind(room).fetch_all(&mut connection).await
                    }
                };
                let rows: Vec<(String, i64)> = rows.expect("the table is there");
                if !rows.is_empty() {
                    return rows;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), stored).await.expect("an acknowledgement is stored")
    }

    /// Somebody signed in as an operator: made a customer, then changed behind the hub's back, since there is no way in.
    pub async fn operator(&self) -> Person {
        const PROMOTE: &str = "UPDATE users SET role = 'admin' WHERE id = $1";
        let mut person = self.person("customer", "Ops").await;
        match self.postgres_url() {
            Some(url) => {
                let mut connection = PgConnection::connect(url).await.expect("Postgres answers");
                sqlx::query(PROMOTE).bind(&person.id).execute(&mut connection).await.expect("it is changed");
            }
            None => {
                let options = SqliteConnectOptions::new()
                    .filename(self.data_folder().join("bellhop.sqlite"))
                    .busy_timeout(Duration::from_secs(5));
                let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
                sqlx::query(PROMOTE).bind(&person.id).execute(&mut connection).await.expect("it is changed");
            }
        }
        person.sign_in(self, None).await;
        person
    }

    pub fn sessions(&self) -> &Sessions {
        &self.running().sessions
    }

    pub fn metrics(&self) -> &Metrics {
        &self.running().metrics
    }

    /// The SQLite file, or the URL of the Postgres database.
    pub fn data_folder(&self) -> &std::path::Path {
        self.database.as_ref().expect("the database lives as long as the app").folder.path()
    }

    pub fn postgres_url(&self) -> Option<&str> {
        let database = self.database.as_ref().expect("the database lives as long as the app");
        database.postgres.as_ref().map(|p| p.url.as_str())
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
        self.database.take();
    }
}
