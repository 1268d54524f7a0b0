//! A hub as a process of its own that dies at named steps and begins again, and clients who ask until they are answered.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::app::{Endpoint, PATIENT_VARIABLE};
use super::database::{Database, StoreKind};
use super::person::Answer;

/// Nothing here takes so long that is not broken.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How often each step is the last one; `BELLHOP_CRASH_REPEATS` sets it.
pub fn crash_repeats() -> usize {
    std::env::var("BELLHOP_CRASH_REPEATS").map_or(1, |text| text.parse().expect("a number"))
}

/// A hub that begins again whenever it has died.
pub struct KilledHub {
    /// Where it listens, before and after each death.
    pub at: Endpoint,
    deaths: usize,
    database: Database,
    settings: Vec<(String, String)>,
    /// What is written into the database before it begins again.
    on_restart: Option<&'static str>,
    child: Option<Child>,
}

impl KilledHub {
    /// A hub with these settings, which is ready.
    pub async fn begin(
        kind: StoreKind,
        settings: Vec<(String, String)>,
        on_restart: Option<&'static str>,
    ) -> Self {
        let database = Database::create(kind).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut hub = Self { at, deaths: 0, database, settings, on_restart, child: None };
        hub.start(None).await;
        hub
    }

    async fn start(&mut self, step: Option<&str>) {
        let folder = self.database.folder.path();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        let port = self.at.address.port().to_string();
        command.arg("--data").arg(folder.join("data")).args(["serve", "--port", &port]);
        command.env_clear().env("RUST_LOG", "warn").env("BELLHOP__LIMITS__ENABLED", "false");
        command.envs([PATIENT_VARIABLE]);
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
    pub async fn die_at(&mut self, step: &str) {
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
            if let Some(sql) = self.on_restart {
                self.execute(sql).await;
            }
            self.start(None).await;
        }
    }

    /// Waits until the hub has died once at its step, and starts it again.
    pub async fn until_dead(&mut self, case: &str) {
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

    /// Asks until the hub answers, as every client does; one that is dead is started again.
    pub async fn ask(&mut self, make: impl Fn(&Endpoint) -> RequestBuilder) -> Answer {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..PATIENCE.as_millis() / 10 {
            self.revive().await;
            if let Ok(response) = make(&self.at).send().await {
                let status = response.status();
                if let Ok(text) = response.text().await
                    && status != StatusCode::SERVICE_UNAVAILABLE
                {
                    return Answer { status, headers: Default::default(), text };
                }
            }
            pace.tick().await;
        }
        panic!("it is never answered");
    }

    /// Writes into the database, past the hub.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.database.postgres {
            Some(postgres) => {
                PgConnection::connect(&postgres.url).await.unwrap().execute(sql).await.unwrap();
            }
            None => {
                self.file().await.execute(sql).await.unwrap();
            }
        }
    }

    /// The one number that a question to the database has.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
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

impl Drop for KilledHub {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.database.folder.path().join("log"))
        {
            eprintln!("{log}");
        }
    }
}
