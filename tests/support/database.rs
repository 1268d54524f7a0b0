use std::path::PathBuf;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// How often Postgres is asked for a copy of a database that somebody uses.
const MAX_TRIES: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    Sqlite,
    Postgres,
}

/// A database of its own for one test, gone when it is dropped. Also holds the data folder.
pub struct Database {
    pub folder: TempDir,
    pub postgres: Option<PostgresDatabase>,
}

pub struct PostgresDatabase {
    admin_url: String,
    pub name: String,
    pub url: String,
}

/// A copy of a database as of one moment; gone when it is dropped.
pub enum DatabaseCopy {
    Sqlite(PathBuf),
    Postgres(PostgresDatabase),
}

impl Database {
    pub async fn create(kind: StoreKind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let postgres = match kind {
            StoreKind::Sqlite => None,
            StoreKind::Postgres => Some(PostgresDatabase::create().await),
        };
        Self { folder, postgres }
    }
}

impl PostgresDatabase {
    async fn create() -> Self {
        let admin_url = std::env::var("BELLHOP_TEST_POSTGRES").expect(
            "BELLHOP_TEST_POSTGRES must hold the URL of a Postgres where databases may be created; \
             ./scripts/test starts one and sets it",
        );
        Self::create_from(admin_url, "template1").await
    }

    async fn create_from(admin_url: String, template: &str) -> Self {
        let name = format!("bellhop_test_{}", Uuid::new_v4().simple());
        let (server, _) = admin_url.rsplit_once('/').expect("a URL with a database");
        let url = format!("{server}/{name}");
        let database = Self { admin_url, name, url };
        database.fill_from(template).await;
        database
    }

    /// Another database with the same content. Nobody may be connected to this one.
    pub async fn copy(&self) -> Self {
        Self::create_from(self.admin_url.clone(), &self.name).await
    }

    /// Takes the content of `copy` instead of its own.
    pub async fn replace_with(&self, copy: &Self) {
        self.ask(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        self.fill_from(&copy.name).await;
    }

    /// Creates the database with the content of another. A connection to that one may still be ending: Postgres waits 5 s for it,
    /// and is asked again.
    async fn fill_from(&self, template: &str) {
        let sql = format!("CREATE DATABASE {} TEMPLATE {template}", self.name);
        let mut tries = 1;
        while let Err(error) = self.try_ask(sql.clone()).await {
            assert!(is_in_use(&error) && tries < MAX_TRIES, "{error}");
            tries += 1;
        }
    }

    async fn ask(&self, sql: String) {
        self.try_ask(sql).await.expect("it is done");
    }

    async fn try_ask(&self, sql: String) -> Result<(), sqlx::Error> {
        let mut admin = PgConnection::connect(&self.admin_url).await.expect("the test Postgres answers");
        admin.execute(sqlx::AssertSqlSafe(sql)).await.map(drop)
    }
}

/// Whether somebody is connected to what was to be copied (`object_in_use`).
fn is_in_use(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55006")
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        // Dropped inside a runtime that must not be blocked on: a thread with one of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&url).await?;
                admin.execute(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        let dropped = dropped.join();
        if !std::thread::panicking() {
            dropped.expect("the thread ends").expect("the test's database is dropped");
        }
    }
}
