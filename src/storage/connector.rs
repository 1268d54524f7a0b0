//! How a lane gets its connection, and gets it again.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, PgConnection, SqliteConnection};

use crate::telemetry::metrics::Metrics;

use super::connection::{Connection, Link};
use super::error::StoreError;
use super::failure::Failure;

/// Where to connect to, with everything a session is told first.
#[derive(Clone, Debug)]
pub(super) enum Connector {
    Postgres { options: Box<PgConnectOptions>, timeout: Duration },
    Sqlite { options: Box<SqliteConnectOptions> },
}

impl Connector {
    /// A new connection, counted in `metrics`; for Postgres within the time-out.
    pub(super) async fn connect(&self, metrics: Metrics) -> Result<Connection, StoreError> {
        let link = match self {
            Self::Postgres { options, timeout } => {
                Link::Postgres(Box::new(connect_postgres(options, *timeout).await?))
            }
            Self::Sqlite { options } => Link::Sqlite(Box::new(connect_sqlite(options).await?)),
        };
        Ok(Connection::new(link, metrics))
    }
}

pub(super) async fn connect_postgres(
    options: &PgConnectOptions,
    timeout: Duration,
) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(timeout, options.connect()).await {
        Ok(connection) => connection.map_err(away),
        Err(_) => Err(StoreError::Unavailable(format!("no connection within {} ms", timeout.as_millis()))),
    }
}

pub(super) async fn connect_sqlite(options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    options.connect().await.map_err(away)
}

/// While connecting nothing can have been refused: a wrong password or an absent database is put right elsewhere.
fn away(error: sqlx::Error) -> StoreError {
    match Failure::from(error).error {
        StoreError::NotHappened(text) | StoreError::Corrupt(text) => StoreError::Unavailable(text),
        other => other,
    }
}
