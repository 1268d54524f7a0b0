//! SQLite: one shop, one process, one file.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::storage::clock::StoreClock;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::Store;
use crate::storage::sql::connector::Connector;
use crate::storage::sql::pool::{Pool, PoolLimits};
use crate::storage::sql::read_pool::ReadPool;
use crate::storage::sql::store::{SqlStore, TRANSACTION_LIMIT};
use crate::telemetry::metrics::Metrics;

pub(super) mod deadline;
pub(super) mod files;
pub(super) mod maintenance;

use files::Files;

/// Readers never wait for the writer in WAL mode; a few keep slow lists from delaying single orders.
const READERS: u32 = 4;

/// An unused reader is closed after the first, and every one replaced after the second.
const READER_IDLE: Duration = Duration::from_secs(10 * 60);
const READER_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The longest a read may take: a hundred times what lists over a million orders do, and the limit that Postgres has by default.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// So much of the file, bytes, is read in place instead of being copied page by page into each reader's own memory: as much as
/// SQLite allows. A search that looks up thousands of orders takes a third of the time.
const READ_IN_PLACE: &str = "2147418112";

/// A write-ahead log that has grown beyond this, bytes, is cut to it once it was folded in whole.
const LOG_LIMIT: &str = "67108864";

/// The longest wait for another process that writes, such as a backup or a command line tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The store in the file at `path`, which is made when absent, readable by its owner only; its folder is not. One
/// lane at a time. Statements are counted in `metrics`.
///
/// # Errors
/// [`StoreError::Unavailable`] when the file cannot be made or opened.
pub async fn connect(
    path: &Path,
    cipher: Arc<Cipher>,
    metrics: Metrics,
) -> Result<Arc<dyn Store>, StoreError> {
    make_file(path).await.map_err(|e| StoreError::Unavailable(e.to_string()))?;
    let writer = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("journal_size_limit", LOG_LIMIT)
        .disable_statement_logging();
    // Turns the file to WAL before the first reader opens it.
    let files = Files::open(path, &writer, metrics.clone()).await?;
    let connector = |options, statement| Connector::Sqlite {
        options: Box::new(options),
        files: files.clone(),
        answer: TRANSACTION_LIMIT,
        statement,
    };
    let pool = Pool::new(connector(reader_options(path), Some(READ_LIMIT)), POOL_LIMITS, metrics.clone());
    let connector = connector(writer, None);
    Ok(Arc::new(SqlStore {
        name: "sqlite",
        max_lanes: 1,
        migrations: connector.clone(),
        connector,
        read_pool: ReadPool::new("sqlite", pool, 2 * BUSY_TIMEOUT, metrics.clone()),
        cipher,
        clock: Arc::new(StoreClock::of_process()),
        clocks: RwLock::default(),
        metrics,
        acknowledged: Arc::default(),
    }))
}

fn reader_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .pragma("mmap_size", READ_IN_PLACE)
        .disable_statement_logging()
}

const POOL_LIMITS: PoolLimits = PoolLimits {
    min: 0,
    max: READERS,
    acquire: BUSY_TIMEOUT,
    idle: READER_IDLE,
    lifetime: READER_LIFETIME,
    // A file does not fall silent.
    trusted: READER_LIFETIME,
};

async fn make_file(path: &Path) -> std::io::Result<()> {
    let mut open = tokio::fs::OpenOptions::new();
    open.write(true).create(true).truncate(false);
    #[cfg(unix)]
    open.mode(0o600);
    open.open(path).await.map(drop)
}

/// A store of its own in `folder`, migrated and empty.
#[cfg(test)]
pub(crate) async fn empty(folder: &Path, metrics: Metrics) -> Arc<dyn Store> {
    let key = ("k".parse().unwrap(), secrecy::SecretBox::new(Box::new([1; 32])));
    let cipher = Cipher::new(vec![key], secrecy::SecretBox::new(Box::new([2; 32]))).unwrap();
    let store = connect(&folder.join("hub.sqlite"), Arc::new(cipher), metrics).await.unwrap();
    store.migrate().await.unwrap();
    store
}
