use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellhop::actors::reachability::Reachability;
use bellhop::actors::session::Sessions;
use bellhop::app::{App, OrderTimers, RunError, Stopper, open_store};
use bellhop::auth::password::{NewPassword, PasswordSettings, Passwords, Standing};
use bellhop::config::{Settings, Sources};
use bellhop::domain::access::Role;
use bellhop::domain::ids::{CommandId, UserId};
use bellhop::domain::time::Timestamp;
use bellhop::storage::Attempt;
use bellhop::storage::commands::{Approval, Command, NewUser, Write};
use bellhop::telemetry::Metrics;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::database::{Database, DatabaseCopy, PostgresDatabase, StoreKind};
use super::person::{PASSWORD, Person};
use super::proxy::Proxy;

/// Time that goes by at once in [`TestApp::advance`]: less than a lease of a business's devices, far less than an outage.
const MAX_STEP: Duration = Duration::from_secs(10);

/// New work may wait for as long as a hub can be told: on a machine that is busy with other tests a hub with the default would
/// refuse it.
const PATIENT: (&str, &str) = ("persistence.queue_age_ms", "60000");

/// The same in the environment of a hub that is a process of its own.
pub const PATIENT_VARIABLE: (&str, &str) = ("BELLHOP__PERSISTENCE__QUEUE_AGE_MS", PATIENT.1);

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
    /// Gone with the last hub that uses it.
    database: Option<Arc<Database>>,
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
    timers: OrderTimers,
    reachability: Reachability,
    ops_address: Option<SocketAddr>,
    thread: JoinHandle<Result<(), RunError>>,
}

impl TestApp {
    pub async fn start(kind: StoreKind) -> Self {
        Self::start_with(kind, &[]).await
    }

    /// With settings other than the defaults, like `("sessions.outbox_frames", "4")` or `("environment", "production")`.
    pub async fn start_with(kind: StoreKind, overrides: &[(&str, &str)]) -> Self {
        Self::start_on(Database::create(kind).await, overrides).await
    }

    /// On Postgres with a proxy between, which comes first so that it outlives the hub.
    pub async fn start_behind_proxy(overrides: &[(&str, &str)]) -> (Proxy, Self) {
        let database = Database::create(StoreKind::Postgres).await;
        let proxy = Proxy::before(&database.postgres.as_ref().expect("it is Postgres").url).await;
        let mut overrides = overrides.to_vec();
        overrides.push(("database.url", proxy.url()));
        let app = Self::start_on(database, &overrides).await;
        (proxy, app)
    }

    async fn start_on(database: Database, overrides: &[(&str, &str)]) -> Self {
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self::run_on(Arc::new(database), overrides).await
    }

    /// Another hub on the same data and with the same settings; the data is in Postgres.
    pub async fn start_another(&self) -> Self {
        assert!(self.postgres_url().is_some(), "a SQLite file is one hub's");
        Self::run_on(self.database.clone().expect("it lives as long as the app"), self.overrides.clone())
            .await
    }

    /// Another hub on the same data, with some settings of its own.
    pub async fn start_another_with(&self, own: &[(&str, &str)]) -> Self {
        assert!(self.postgres_url().is_some(), "a SQLite file is one hub's");
        let mut overrides = self.overrides.clone();
        overrides.retain(|(known, _)| own.iter().all(|(key, _)| key != known));
        overrides.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Self::run_on(self.database.clone().expect("it lives as long as the app"), overrides).await
    }

    async fn run_on(database: Arc<Database>, overrides: Vec<(String, String)>) -> Self {
        let endpoint = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut app = Self { database: Some(database), overrides, running: None, endpoint };
        app.run().await;
        app
    }

    fn settings(&self) -> Settings {
        let database = self.database();
        // Tests that are not about limits ask more often than anybody may.
        let mut sources =
            Sources::bare(database.folder.path()).with("server.port", "0").with("limits.enabled", "false");
        // Nor do they wait long for clients who are told one after the other that a hub stops.
        sources = sources.with("server.drain_spread_s", "1");
        sources = sources.with(PATIENT.0, PATIENT.1);
        if let Some(postgres) = &database.postgres {
            sources = sources.with("database.url", postgres.url.clone()).with("database.lanes", "2");
        }
        for (key, value) in &self.overrides {
            if key == "environment" {
                sources.variables.insert("BELLHOP_ENV".to_owned(), value.clone());
            } else {
                sources = sources.with(key, value.clone());
            }
        }
        Settings::load(&sources).expect("the test's settings are good")
    }

    async fn run(&mut self) {
        let settings = self.settings();
        let (started, start) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = App::build(settings).await.expect("the hub starts");
                let (address, ops_address) = (app.address(), app.ops_address());
                let running = (
                    app.stopper(),
                    app.sessions().clone(),
                    app.metrics().clone(),
                    app.timers().clone(),
                    app.reachability().clone(),
                );
                let _ = started.send((address, ops_address, running));
                app.run().await
            })
        });
        let (address, ops_address, running) = start.await.expect("the hub says that it listens");
        let (stopper, sessions, metrics, timers, reachability) = running;
        self.running =
            Some(Running { stopper, sessions, metrics, timers, reachability, ops_address, thread });
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

    /// Makes an operator, as the command line would, and signs in.
    pub async fn operator(&self, name: &str) -> Person {
        let settings = self.settings();
        let passwords = Passwords::new(&PasswordSettings::default()).expect("the defaults work");
        let password = NewPassword::parse(PASSWORD.into()).expect("it is long enough");
        let user = NewUser {
            id: UserId::generate(),
            email: format!("{}@ops.example.org", name.to_lowercase()),
            password_hash: passwords.hash(password, Standing::Known).await.expect("it is hashed"),
            role: Role::Admin,
            name: Some(name.to_owned()),
            approved: Approval::Approved,
            created_at: Timestamp::now(),
        };
        let mut person = Person {
            id: user.id.to_string(),
            email: user.email.clone(),
            token: String::new(),
            refresh_token: String::new(),
        };
        let action = Write::CreateUser(Box::new(user));
        let command = Command { id: CommandId::generate(), at: Timestamp::now(), write: action };
        let (store, _) = open_store(&settings).await.expect("the database answers");
        let mut lane = store.open_lane().await.expect("a writer is opened");
        lane.run(&[command], Attempt::First).await.expect("the account is stored");
        drop(lane);
        store.close().await;
        person.sign_in(self, None).await;
        person
    }

    /// Stops the hub cleanly and starts another on the same data (and another port).
    pub async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }

    /// Starts another hub on the same data after [`TestApp::stop`].
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.run().await;
    }

    /// A setting for the next start, and for [`TestApp::bellhop`].
    pub fn set(&mut self, key: &str, value: &str) {
        self.overrides.retain(|(known, _)| known != key);
        self.overrides.push((key.to_owned(), value.to_owned()));
    }

    /// Runs `bellhop` to its end as an operator would beside the hub, with its settings and data: whether it succeeded, and
    /// what it said.
    pub async fn bellhop(&self, arguments: &[&str]) -> (bool, String) {
        self.bellhop_in(self.data_folder(), arguments, "").await
    }

    /// As [`TestApp::bellhop`], with its data in a folder that may be another, and told this on its standard input.
    pub async fn bellhop_in(&self, data: &Path, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.env_clear().current_dir(self.data_folder()).arg("--data").arg(data).args(arguments);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        if let Some(url) = self.postgres_url() {
            command.env("BELLHOP__DATABASE__URL", url);
        }
        for (key, value) in &self.overrides {
            let name = match key.as_str() {
                "environment" => "BELLHOP_ENV".to_owned(),
                key => format!("BELLHOP__{}", key.to_uppercase().replace('.', "__")),
            };
            command.env(name, value);
        }
        let input = input.to_owned();
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("the command is started");
            // One that needs no input may have ended.
            let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
            child.wait_with_output()
        });
        let ended = ended.await.expect("it is waited for").expect("it ends");
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.success(), String::from_utf8(said).expect("it speaks UTF-8"))
    }

    /// Copies the database, which may be in use only on SQLite.
    pub async fn copy_database(&self) -> DatabaseCopy {
        let Some(postgres) = &self.database().postgres else {
            let file = self.data_folder().join("copy.sqlite");
            let (done, said) = self.bellhop(&["backup", file.to_str().expect("UTF-8")]).await;
            assert!(done, "{said}");
            return DatabaseCopy::Sqlite(file);
        };
        assert!(self.running.is_none(), "Postgres copies a database that nobody uses");
        DatabaseCopy::Postgres(postgres.copy().await)
    }

    /// A copy of the Postgres database as of now, as a standby that hears of nothing that is committed later. Nobody may be
    /// connected to the database: a proxy before it has to refuse.
    pub async fn standby(&self) -> PostgresDatabase {
        self.database().postgres.as_ref().expect("it is Postgres").copy().await
    }

    /// Puts a copy in the place of the database, of which nothing is left.
    pub async fn restore(&self, copy: &DatabaseCopy) {
        assert!(self.running.is_none(), "a hub uses the database");
        match copy {
            DatabaseCopy::Sqlite(file) => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(self.data_folder().join(format!("bellhop.sqlite{suffix}")));
                }
                std::fs::copy(file, self.data_folder().join("bellhop.sqlite")).expect("it is copied back");
            }
            DatabaseCopy::Postgres(copy) => {
                self.database().postgres.as_ref().expect("it is Postgres").replace_with(copy).await;
            }
        }
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("the database lives as long as the app")
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stopper.stop();
            let ended = running.thread.join();
            if !std::thread::panicking() {
                ended.expect("the hub does not panic").expect("the hub stops cleanly");
                assert_eq!(running.sessions.open(), 0, "a session outlived its hub");
                assert_eq!(running.sessions.readers(), 0, "a reader outlived its hub");
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

    /// Moves the hub's time ahead from one deadline to the next, so that each is fired when it is due, leases are renewed, and no time
    /// is an outage.
    pub async fn advance(&self, by: Duration) {
        let end = self.timers().now().plus(by);
        loop {
            let now = self.timers().now();
            let left = end.since(now);
            let next = self.next_deadline().await.map_or(left, |next| next.since(now));
            let step = left.min(next).min(MAX_STEP);
            // A deadline within the next millisecond would be missed by the time that goes by here.
            self.timers().advance(step.max(Duration::from_millis(1)).min(left));
            // Leases are renewed by the time that passes, and are the hub's sign of life while nothing is due.
            self.running().reachability.renew_now().await;
            self.fire_all().await;
            if step == left {
                return;
            }
        }
    }

    /// Moves the hub's time ahead at once, as if nothing had run meanwhile, and waits until what was due then is fired.
    pub async fn be_away(&self, time: Duration) {
        self.running().reachability.renew_now().await;
        self.timers().advance(time);
        self.fire_all().await;
        self.running().reachability.renew_now().await;
    }

    /// Waits until nothing is due.
    async fn fire_all(&self) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let fired = async {
            loop {
                looks.tick().await;
                if self.next_deadline().await.is_none_or(|next| next > self.timers().now()) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), fired).await.expect("what is due is fired")
    }

    /// The time of the next deadline of any order, which may be over.
    async fn next_deadline(&self) -> Option<Timestamp> {
        let next = self.numbers("SELECT MIN(due_at) FROM order_sagas WHERE due_at IS NOT NULL").await;
        next.first().copied().flatten().map(Timestamp::from_micros)
    }

    /// The numbers in the first column of what a query finds.
    pub async fn numbers(&self, sql: &str) -> Vec<Option<i64>> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let rows: Vec<(Option<i64>,)> = match self.postgres_url() {
            Some(url) => {
                let mut connection = PgConnection::connect(url).await.expect("Postgres answers");
                sqlx::query_as(sql).fetch_all(&mut connection).await.expect("it is answered")
            }
            None => {
                let file = self.data_folder().join("bellhop.sqlite");
                let options = SqliteConnectOptions::new().filename(file).read_only(true);
                let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
                sqlx::query_as(sql).fetch_all(&mut connection).await.expect("it is answered")
            }
        };
        rows.into_iter().map(|(number,)| number).collect()
    }

    /// Renews the leases of reachable businesses now, and pauses those that are due.
    pub async fn renew_leases(&self) {
        self.running().reachability.renew_now().await;
    }

    /// What acts on orders when their time has come.
    pub fn timers(&self) -> &OrderTimers {
        &self.running().timers
    }

    /// Changes the database behind the hub's back.
    pub async fn execute(&self, sql: String) {
        use sqlx::Executor as _;
        let sql = sqlx::AssertSqlSafe(sql);
        match self.postgres_url() {
            Some(url) => {
                let mut connection = PgConnection::connect(url).await.expect("Postgres answers");
                connection.execute(sql).await.expect("it is done");
            }
            None => {
                let file = self.data_folder().join("bellhop.sqlite");
                let options =
                    SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(20));
                let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
                connection.execute(sql).await.expect("it is done");
            }
        }
    }

    pub fn sessions(&self) -> &Sessions {
        &self.running().sessions
    }

    /// Where operators find what is theirs, with `ops.bind`.
    pub fn ops(&self) -> Endpoint {
        Endpoint::new(self.running().ops_address.expect("ops.bind is set"))
    }

    pub fn metrics(&self) -> &Metrics {
        &self.running().metrics
    }

    /// The SQLite file, or the URL of the Postgres database.
    pub fn data_folder(&self) -> &std::path::Path {
        self.database().folder.path()
    }

    pub fn postgres_url(&self) -> Option<&str> {
        self.database().postgres.as_ref().map(|p| p.url.as_str())
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
        self.database.take();
    }
}
