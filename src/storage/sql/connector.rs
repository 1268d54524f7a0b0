//! Connections to the databases are made here: for lanes, for the pool, for migrations.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Error, PgConnection, SqliteConnection};
use tokio::time::timeout;

use crate::telemetry::metrics::Metrics;

use super::connection::{Connection, DriverConnection, no_answer};
use super::postgres::session::SessionSettings;
use super::sqlite::deadline::Deadline;
use super::sqlite::files::Files;
use crate::storage::error::StoreError;

/// Address of the database, with the settings of each session.
#[derive(Clone, Debug)]
pub(super) enum Connector {
    Postgres {
        options: Box<PgConnectOptions>,
        session: Arc<SessionSettings>,
        /// For a connection that is ready for use.
        timeout: Duration,
        /// For each answer on it.
        answer: Duration,
    },
    Sqlite {
        options: Box<SqliteConnectOptions>,
        files: Arc<Files>,
        answer: Duration,
        /// The longest a statement may take; a writer's have no limit.
        statement: Option<Duration>,
    },
}

impl Connector {
    /// A new connection, counted in `metrics`; for Postgres within the time-out.
    pub(super) async fn connect(&self, metrics: Metrics) -> Result<Connection, Error> {
        Ok(match self {
            Self::Postgres { options, session, timeout, answer } => {
                let driver = Box::new(connect_postgres(options, session, *timeout).await?);
                Connection::new(DriverConnection::Postgres(driver), metrics, *answer)
            }
            Self::Sqlite { options, files, answer, statement } => {
                let mut driver = Box::new(connect_sqlite(options, files).await?);
                let deadline = match statement {
                    Some(limit) => Some(Deadline::of(&mut driver, *limit).await?),
                    None => None,
                };
                Connection::new(DriverConnection::Sqlite(driver, deadline), metrics, *answer)
            }
        })
    }

    /// Whether the files of the database are still in their place; always so on Postgres.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres { .. } => Ok(()),
            Self::Sqlite { files, .. } => {
                files.check().map_err(|lost| StoreError::Unavailable(lost.to_string()))
            }
        }
    }
}

/// A connection whose session has what was asked for, within `within`.
pub(super) async fn connect_postgres(
    options: &PgConnectOptions,
    session: &SessionSettings,
    within: Duration,
) -> Result<PgConnection, Error> {
    let made = async {
        let mut connection = options.connect().await?;
        session.establish(&mut connection).await?;
        Ok(connection)
    };
    timeout(within, made).await.unwrap_or_else(|_| Err(no_answer("no connection", within)))
}

/// A connection to the file that was there at the start, and to no other in its place.
pub(super) async fn connect_sqlite(
    options: &SqliteConnectOptions,
    files: &Files,
) -> Result<SqliteConnection, Error> {
    files.check().map_err(|lost| Error::Io(std::io::Error::other(lost)))?;
    options.connect().await
}
