//! A fresh store for each test, and a look behind its back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellhop::storage::crypto::cipher::Cipher;
use bellhop::storage::postgres::{self, PostgresOptions};
use bellhop::storage::{Lane, Store, sqlite};
use bellhop::telemetry::metrics::Metrics;
use secrecy::{SecretBox, SecretString};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

/// Each promise as a test on each store: `on_sqlite::…` and `on_postgres::…`.
macro_rules! on_every_store {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident) $body:block)*) => {
        $($(#[$doc])* async fn $name($store: std::sync::Arc<crate::harness::TestStore>) $body)*

        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                crate::harness::check(crate::harness::TestStore::sqlite().await, super::$name).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                crate::harness::check(crate::harness::TestStore::postgres().await, super::$name).await;
            })*
        }
    };
}

/// Where the store under test keeps its data.
pub(crate) enum Place {
    Sqlite { path: PathBuf, _folder: tempfile::TempDir },
    Postgres { server: String, database: String, url: String },
}

/// A store with its schema, alone in the world.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) place: Place,
    pub(crate) metrics: Metrics,
}

/// Runs one promise and takes the store away afterwards, also when the promise is broken. Whatever it was about, the metrics
/// have names for what was done.
pub(crate) async fn check<F>(store: TestStore, promise: impl FnOnce(Arc<TestStore>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let store = Arc::new(store);
    let verdict = tokio::spawn(promise(Arc::clone(&store))).await;
    store.remove().await;
    if let Err(broken) = verdict {
        std::panic::resume_unwind(broken.into_panic());
    }
    for line in store.metrics.render().lines().filter(|line| line.starts_with("database_operations_total")) {
        // SQLite's upkeep is done to no table.
        assert!(!line.contains("other") || line.contains("{operation=\"other\",table=\"none\"}"), "{line}");
    }
}

pub(crate) fn cipher() -> Arc<Cipher> {
    cipher_of(&["test"])
}

/// A cipher that seals with the first of these keys and opens with any.
pub(crate) fn cipher_of(ids: &[&str]) -> Arc<Cipher> {
    let key = |id: &str| {
        let byte = id.bytes().fold(1_u8, u8::wrapping_add);
        (id.parse().unwrap(), SecretBox::new(Box::new([byte; 32])))
    };
    let mac_secret = SecretBox::new(Box::new([2; 32]));
    Arc::new(Cipher::new(ids.iter().map(|id| key(id)).collect(), mac_secret).unwrap())
}

/// Metrics of its own for each store.
pub(crate) fn metrics() -> Metrics {
    Metrics::new(&std::env::temp_dir())
}

fn postgres_options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: SecretString::from(url),
        min_connections: 0,
        max_connections: 4,
        acquire_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(600),
        max_lifetime: Duration::from_secs(1800),
        statement_timeout: Duration::from_secs(20),
        lock_timeout: Duration::from_secs(15),
    }
}

impl TestStore {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bellhop.sqlite");
        let metrics = metrics();
        let store = sqlite::connect(&path, cipher(), metrics.clone()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, place: Place::Sqlite { path, _folder: folder }, metrics }
    }

    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("BELLHOP_TEST_POSTGRES").expect(
            "set BELLHOP_TEST_POSTGRES to the URL of a Postgres server on which tests may create databases",
        );
        let database = format!("contract_{}", uuid::Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let create = format!("CREATE DATABASE {database}");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        let mut url = reqwest::Url::parse(&server).unwrap();
        url.set_path(&database);
        let url = url.to_string();
        let metrics = metrics();
        let store = postgres::connect(&postgres_options(&url), cipher(), metrics.clone()).unwrap();
        store.migrate().await.unwrap();
        Self { store, place: Place::Postgres { server, database, url }, metrics }
    }

    /// The same database through another store, as a second node or a restarted one sees it.
    pub(crate) async fn again(&self) -> Arc<dyn Store> {
        self.with_keys(&["test"]).await
    }

    /// The same database through a store with other keys; `test` is the one the store under test seals with.
    pub(crate) async fn with_keys(&self, ids: &[&str]) -> Arc<dyn Store> {
        let (cipher, metrics) = (cipher_of(ids), self.metrics.clone());
        match &self.place {
            Place::Sqlite { path, .. } => sqlite::connect(path, cipher, metrics).await.unwrap(),
            Place::Postgres { url, .. } => {
                postgres::connect(&postgres_options(url), cipher, metrics).unwrap()
            }
        }
    }

    /// Where the Postgres database is.
    pub(crate) fn url(&self) -> &str {
        match &self.place {
            Place::Postgres { url, .. } => url,
            Place::Sqlite { .. } => panic!("a file has no URL"),
        }
    }

    /// The same Postgres database through a store that waits for no row.
    pub(crate) fn impatient(&self) -> Arc<dyn Store> {
        let options =
            PostgresOptions { lock_timeout: Duration::from_millis(50), ..postgres_options(self.url()) };
        postgres::connect(&options, cipher(), self.metrics.clone()).unwrap()
    }

    /// The same Postgres database through a store whose statements may take half a second.
    pub(crate) fn hasty(&self) -> Arc<dyn Store> {
        let options = PostgresOptions {
            statement_timeout: Duration::from_millis(500),
            lock_timeout: Duration::from_millis(450),
            ..postgres_options(self.url())
        };
        postgres::connect(&options, cipher(), self.metrics.clone()).unwrap()
    }

    pub(crate) async fn lane(&self) -> Box<dyn Lane> {
        self.store.open_lane().await.unwrap()
    }

    /// As many lanes as the store can use, at most four.
    pub(crate) async fn lanes(&self) -> Vec<Arc<tokio::sync::Mutex<Box<dyn Lane>>>> {
        let mut lanes = Vec::new();
        for _ in 0..self.store.max_lanes().min(4) {
            lanes.push(Arc::new(tokio::sync::Mutex::new(self.lane().await)));
        }
        lanes
    }

    /// Changes the data behind the store's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        match &self.place {
            Place::Sqlite { path, .. } => {
                sqlite_connection(path).await.execute(sql).await.unwrap();
            }
            Place::Postgres { url, .. } => {
                PgConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
            }
        }
    }

    /// One number, read behind the store's back.
    pub(crate) async fn peek(&self, sql: &'static str) -> i64 {
        match &self.place {
            Place::Sqlite { path, .. } => {
                sqlx::query(sql).fetch_one(&mut sqlite_connection(path).await).await.unwrap().get(0)
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
            }
        }
    }

    /// Texts, read behind the store's back.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        match &self.place {
            Place::Sqlite { path, .. } => {
                let rows = sqlx::query(sql).fetch_all(&mut sqlite_connection(path).await).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Where the file of a SQLite database is.
    pub(crate) fn sqlite_path(&self) -> PathBuf {
        match &self.place {
            Place::Sqlite { path, .. } => path.clone(),
            Place::Postgres { .. } => panic!("it is no file"),
        }
    }

    /// Everything the database holds, as a thief of its files or of a dump would read it.
    pub(crate) async fn dump(&self) -> String {
        match &self.place {
            Place::Sqlite { path, .. } => {
                let mut all = String::new();
                for suffix in ["", "-wal"] {
                    let file = PathBuf::from(format!("{}{suffix}", path.display()));
                    let bytes = tokio::fs::read(file).await.unwrap_or_default();
                    all.push_str(&String::from_utf8_lossy(&bytes));
                }
                all
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let tables = sqlx::query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                let mut all = String::new();
                for table in tables {
                    let table: String = table.get(0);
                    let rows = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
                    for row in sqlx::query(rows).fetch_all(&mut connection).await.unwrap() {
                        all.push_str(&row.get::<String, _>(0));
                        all.push('\n');
                    }
                }
                all
            }
        }
    }

    async fn remove(&self) {
        self.store.close().await;
        if let Place::Postgres { server, database, .. } = &self.place {
            let mut admin = PgConnection::connect(server).await.unwrap();
            admin.execute(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)"))).await.unwrap();
        }
    }
}

async fn sqlite_connection(path: &std::path::Path) -> SqliteConnection {
    let url = format!("sqlite://{}", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}
