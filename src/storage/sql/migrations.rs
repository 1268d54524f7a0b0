//! Errors of migrations.

use sqlx::migrate::MigrateError;

use super::errors::TxError;
use crate::storage::error::StoreError;

/// Every migration is a transaction: a failed one has changed nothing.
pub(super) fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => TxError::from(error).error,
        other => StoreError::NotHappened(other.to_string()),
    }
}
