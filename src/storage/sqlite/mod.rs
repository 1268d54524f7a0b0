//! SQLite: one shop, one process, one file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Row as _};

use crate::telemetry::metrics::Metrics;

use super::cipher::Cipher;
use super::connector::{Connector, away, connect_sqlite};
use super::error::StoreError;
use super::failure::Failure;
use super::migrations::failed;
use super::pool::{Pool, PoolLimits};
use super::ports::{Checkpoint, Store};
use super::reading::Reading;
use super::store::{SqlStore, TRANSACTION_LIMIT};

mod deadline;
mod files;

pub(super) use deadline::Deadline;
pub(super) use files::{Files, LOST};

static MIGRATIONS: Migrator = sqlx_macros::migrate!("migrations/sqlite");

/// Readers never wait for the writer in WAL mode; a few keep slow lists from delaying single orders.
const READERS: u32 = 4;

/// When a reader that nobody uses is closed, and when each is replaced.
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
/// lane at a time. What it is asked is counted in `metrics`.
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
    let reader = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .pragma("mmap_size", READ_IN_PLACE)
        .disable_statement_logging();
    let connector = |options, statement| Connector::Sqlite {
        options: Box::new(options),
        files: files.clone(),
        answer: TRANSACTION_LIMIT,
        statement,
    };
    let limits = PoolLimits {
        min: 0,
        max: READERS,
        acquire: BUSY_TIMEOUT,
        idle: READER_IDLE,
        lifetime: READER_LIFETIME,
        // A file does not fall silent.
        trusted: READER_LIFETIME,
    };
    let pool = Pool::new(connector(reader, Some(READ_LIMIT)), limits, metrics.clone());
    let connector = connector(writer, None);
    Ok(Arc::new(SqlStore {
        name: "sqlite",
        max_lanes: 1,
        migrations: connector.clone(),
        connector,
        reading: Reading::new("sqlite", pool, 2 * BUSY_TIMEOUT, metrics.clone()),
        cipher,
        metrics,
        acknowledged: Arc::default(),
    }))
}

/// The longest a checkpoint keeps the writer waiting.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(1);

async fn make_file(path: &Path) -> std::io::Result<()> {
    let mut open = tokio::fs::OpenOptions::new();
    open.write(true).create(true).truncate(false);
    #[cfg(unix)]
    open.mode(0o600);
    open.open(path).await.map(drop)
}

/// Folds the write-ahead log into the file and empties it, unless somebody needs it for longer than
/// [`CHECKPOINT_PATIENCE`].
pub(super) async fn checkpoint(
    options: &SqliteConnectOptions,
    files: &Files,
) -> Result<Checkpoint, StoreError> {
    let unavailable = |e| Failure::from(e).error;
    let options = options.clone().busy_timeout(CHECKPOINT_PATIENCE);
    let mut connection = connect_sqlite(&options, files).await.map_err(away)?;
    let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
    let row = checkpoint.fetch_one(&mut connection).await.map_err(unavailable)?;
    let busy: i64 = row.try_get(0).map_err(unavailable)?;
    connection.close().await.map_err(unavailable)?;
    Ok(if busy == 0 { Checkpoint::Done } else { Checkpoint::Busy })
}

/// A copy as of one moment, without the log beside it; on disk when this returns.
pub(super) async fn backup(
    options: &SqliteConnectOptions,
    files: &Files,
    file: &Path,
) -> Result<(), StoreError> {
    let unusable = |e: std::io::Error| StoreError::NotHappened(format!("the file {}: {e}", file.display()));
    // Made here first, so that it is never readable by others; SQLite fills an empty file.
    let mut new = tokio::fs::OpenOptions::new();
    new.write(true).create_new(true);
    #[cfg(unix)]
    new.mode(0o600);
    let made = new.open(file).await.map_err(unusable)?;
    let name = file.to_str().ok_or_else(|| StoreError::NotHappened("the file's name is no UTF-8".to_owned()));
    let copied = async {
        let mut connection = connect_sqlite(options, files).await.map_err(away)?;
        let copy = sqlx::query("VACUUM INTO $1").bind(name?.to_owned());
        copy.execute(&mut connection).await.map_err(|e| Failure::from(e).error)?;
        connection.close().await.map_err(|e| Failure::from(e).error)?;
        made.sync_all().await.map_err(unusable)
    };
    let copied = copied.await;
    if copied.is_err() {
        // Half a backup is worse than none.
        let _ = tokio::fs::remove_file(file).await;
    }
    copied
}

/// Runs what is missing as the writer, so that a second process waits and then finds it done.
pub(super) async fn migrate(options: &SqliteConnectOptions, files: &Files) -> Result<(), StoreError> {
    let unavailable = |e| Failure::from(e).error;
    let mut connection = connect_sqlite(options, files).await.map_err(away)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(unavailable)?;
    connection.close().await.map_err(unavailable)
}
