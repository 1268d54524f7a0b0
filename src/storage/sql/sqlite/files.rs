//! The files of a database, and whether they are still those that were opened: a file that was moved, replaced or removed
//! takes every further commit without an error and loses it.
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use crate::storage::error::StoreError;
use crate::storage::sql::errors::away;
use crate::telemetry::metrics::Metrics;

/// The fault in words for operators.
pub(in crate::storage::sql) const LOST: &str =
    "the database file was moved, replaced or removed while the hub uses it";

/// Ends of the names of the database's three files.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Interval of checks while nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Device and inode.
type Identity = (u64, u64);

/// One of the files is missing, or is another file.
#[derive(Debug)]
pub(in crate::storage::sql) struct Lost(PathBuf);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LOST}: {}", self.0.display())
    }
}

impl std::error::Error for Lost {}

/// The database's file, its log and the log's index, as they were opened. A connection of its own keeps all three open, so
/// that SQLite has no reason of its own to remove or replace one until [`Files::close`].
pub(in crate::storage::sql) struct Files {
    parts: [(PathBuf, Identity); 3],
    keeper: Mutex<Option<SqliteConnection>>,
    closed: AtomicBool,
    metrics: Metrics,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.parts[0].0).finish()
    }
}

impl Files {
    /// Opens the file as `options` say and looks after it from now on, as long as this lives. Has to be called inside a
    /// runtime.
    pub(in crate::storage::sql) async fn open(
        path: &Path,
        options: &SqliteConnectOptions,
        metrics: Metrics,
    ) -> Result<Arc<Self>, StoreError> {
        let mut keeper = options.connect().await.map_err(away)?;
        // The log is opened by the first read.
        let read = sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_all(&mut keeper).await;
        read.map_err(away)?;
        let mut parts = Vec::with_capacity(PARTS.len());
        for end in PARTS {
            let mut name = OsString::from(path);
            name.push(end);
            let part = PathBuf::from(name);
            let identity = identity(&part)
                .ok_or_else(|| StoreError::Unavailable(format!("there is no {}", part.display())))?;
            parts.push((part, identity));
        }
        let parts = parts.try_into().expect("there is one for each end of a name");
        let (keeper, closed) = (Mutex::new(Some(keeper)), AtomicBool::new(false));
        let files = Arc::new(Self { parts, keeper, closed, metrics });
        tokio::spawn(look(Arc::downgrade(&files)));
        Ok(files)
    }

    /// Whether the files are still those that were opened. Three calls of `stat`, a few microseconds.
    pub(in crate::storage::sql) fn check(&self) -> Result<(), Lost> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.parts.iter().find(|(part, opened)| identity(part) != Some(*opened)) {
            None => Ok(()),
            Some((part, _)) => Err(Lost(part.clone())),
        }
    }

    /// Lets the files go; the last connection to close folds the log in and removes it.
    pub(in crate::storage::sql) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // It wrote nothing.
            let _ = keeper.close().await;
        }
    }

    fn measure(&self) {
        let size = std::fs::metadata(&self.parts[1].0).map_or(0, |log| log.len());
        self.metrics.sqlite_wal_bytes.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
}

fn identity(path: &Path) -> Option<Identity> {
    // Whatever the reason: what cannot be looked at cannot be relied on.
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Logs once that the files were lost, and once that they are back.
async fn look(files: Weak<Files>) {
    let mut lost = false;
    while let Some(files) = files.upgrade().filter(|files| !files.closed.load(Ordering::Relaxed)) {
        files.measure();
        match files.check() {
            Err(error) if !lost => {
                lost = true;
                tracing::error!(%error, "writes are refused: put the file back as it was, or stop the hub and restore");
            }
            Ok(()) if lost => {
                lost = false;
                tracing::info!("the database file is back; writes are taken again");
            }
            _ => {}
        }
        drop(files);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
