//! Work on the whole file: migrations, checkpoints of the write-ahead log, backups.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::storage::error::StoreError;
use crate::storage::ports::Checkpoint;
use crate::storage::sql::connector::connect_sqlite;
use crate::storage::sql::errors::{TxError, away};
use crate::storage::sql::migrations::{failed, lenient, newest};

use super::files::Files;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| lenient(sqlx_macros::migrate!("migrations/sqlite")));

/// The longest a checkpoint keeps the writer waiting.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(1);

/// Moves the write-ahead log into the file and empties it, unless a reader or writer holds it for longer than
/// [`CHECKPOINT_PATIENCE`].
pub(in crate::storage::sql) async fn checkpoint(
    options: &SqliteConnectOptions,
    files: &Files,
) -> Result<Checkpoint, StoreError> {
    let unavailable = |e| TxError::from(e).error;
    let options = options.clone().busy_timeout(CHECKPOINT_PATIENCE);
    let mut connection = connect_sqlite(&options, files).await.map_err(away)?;
    let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
    let row = checkpoint.fetch_one(&mut connection).await.map_err(unavailable)?;
    let busy: i64 = row.try_get(0).map_err(unavailable)?;
    connection.close().await.map_err(unavailable)?;
    Ok(if busy == 0 { Checkpoint::Done } else { Checkpoint::Busy })
}

/// A copy as of one moment, without the log beside it; on disk when this returns.
pub(in crate::storage::sql) async fn backup(
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
        let name = name?;
        let mut connection = connect_sqlite(options, files).await.map_err(away)?;
        let copy = sqlx::query("VACUUM INTO $1").bind(name.to_owned());
        copy.execute(&mut connection).await.map_err(|e| TxError::from(e).error)?;
        check(&mut connection, name).await?;
        connection.close().await.map_err(|e| TxError::from(e).error)?;
        made.sync_all().await.map_err(unusable)
    };
    let copied = copied.await;
    if copied.is_err() {
        // Half a backup is worse than none.
        let _ = tokio::fs::remove_file(file).await;
    }
    copied
}

/// Reads the whole copy: a page that cannot be read, or an index that does not fit its table, makes it no backup.
async fn check(connection: &mut SqliteConnection, copy: &str) -> Result<(), StoreError> {
    let failed = |e| TxError::from(e).error;
    sqlx::query("ATTACH DATABASE $1 AS copy")
        .bind(copy.to_owned())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    let found: String = sqlx::query_scalar("PRAGMA copy.integrity_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    match found.as_str() {
        "ok" => Ok(()),
        wrong => Err(StoreError::Corrupt(format!("the copy, and so probably the database: {wrong}"))),
    }
}

/// Runs missing migrations as the writer, so that a second process waits and then finds them done.
pub(in crate::storage::sql) async fn migrate(
    options: &SqliteConnectOptions,
    files: &Files,
) -> Result<(), StoreError> {
    let unavailable = |e| TxError::from(e).error;
    let mut connection = connect_sqlite(options, files).await.map_err(away)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(unavailable)?;
    connection.close().await.map_err(unavailable)
}

/// The newest change of the schema that this program knows.
pub(in crate::storage::sql) fn known_schema() -> i64 {
    newest(&MIGRATIONS)
}
