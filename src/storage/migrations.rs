//! What a failed migration says about the schema.

use sqlx::migrate::MigrateError;

use super::error::StoreError;
use super::failure::Failure;

/// Every migration is a transaction: a failed one has changed nothing.
pub(super) fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Failure::from(error).error,
        other => StoreError::NotHappened(other.to_string()),
    }
}
