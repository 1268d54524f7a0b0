//! The schema of a Postgres database, brought up to date.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Error};

use crate::storage::error::StoreError;
use crate::storage::sql::connector::connect_postgres;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::migrations::failed;

use super::session::SessionSettings;

static MIGRATIONS: Migrator = sqlx_macros::migrate!("migrations/postgres");

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

/// Runs what is missing under the database's advisory lock, so that one node does it and the others wait.
pub(in crate::storage::sql) async fn migrate(
    options: &PgConnectOptions,
    session: &SessionSettings,
    timeout: Duration,
) -> Result<(), StoreError> {
    let mut connection = connect_postgres(options, session, timeout).await.map_err(at_first)?;
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(failed)?;
    // It is done, whatever becomes of the goodbye.
    drop(tokio::time::timeout(GOODBYE_WITHIN, connection.close()).await);
    Ok(())
}
