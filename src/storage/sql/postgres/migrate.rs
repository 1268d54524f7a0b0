//! The schema of a Postgres database, brought up to date.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Error};

use crate::storage::error::StoreError;
use crate::storage::sql::connector::connect_postgres;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::migrations::{failed, lenient, newest};

use super::session::SessionSettings;

static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| lenient(sqlx_macros::migrate!("migrations/postgres")));

/// Pause before a migration is tried again that met a lock: what held it is let through meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The longest wait for the server's goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// On the first connection it shows whether the database is away, and will be back, or is none that can be used: a wrong
/// password, an absent database, a certificate that does not hold.
fn at_first(error: Error) -> StoreError {
    match error {
        Error::Tls(_) | Error::Configuration(_) => StoreError::NotHappened(error.to_string()),
        other => TxError::from(other).error,
    }
}

/// Whether a migration gave up for a lock that was not to be had in time (`lock_not_available`).
fn met_a_lock(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else {
        return false;
    };
    cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// Runs what is missing under the database's advisory lock, so that one node does it and the others wait. No lock is waited for
/// longer than the session allows, since everybody else waits behind one that is wanted; it is tried again until it is there.
pub(in crate::storage::sql) async fn migrate(
    options: &PgConnectOptions,
    session: &SessionSettings,
    timeout: Duration,
) -> Result<(), StoreError> {
    let mut connection = connect_postgres(options, session, timeout).await.map_err(at_first)?;
    loop {
        match MIGRATIONS.run_direct(None, &mut connection, false).await {
            Ok(()) => break,
            Err(error) if met_a_lock(&error) => {
                tracing::warn!("a change of the schema waits for somebody who uses a table; trying again");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    // It is done, whatever becomes of the goodbye.
    drop(tokio::time::timeout(GOODBYE_WITHIN, connection.close()).await);
    Ok(())
}

/// The newest change of the schema that this program knows.
pub(in crate::storage::sql) fn known_schema() -> i64 {
    newest(&MIGRATIONS)
}
