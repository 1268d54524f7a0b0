//! What the migrations of both databases have in common.

use sqlx::migrate::{MigrateError, Migrator};

use super::errors::TxError;
use crate::storage::error::StoreError;

/// Every migration is a transaction: a failed one has changed nothing.
pub(super) fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => TxError::from(error).error,
        other => StoreError::NotHappened(other.to_string()),
    }
}

/// These migrations on a database that may have further ones: a release runs on the schema of the next one, so that an update can be
/// taken back.
pub(super) fn lenient(mut migrations: Migrator) -> Migrator {
    migrations.set_ignore_missing(true);
    migrations
}

/// The newest of these migrations.
pub(super) fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}
