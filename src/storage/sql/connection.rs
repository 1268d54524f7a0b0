//! One connection of either database, speaking through [`Statement`]s.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, Connection as _, Error, Executor, FromRow, PgConnection, Postgres, Row as _, SqlStr, Sqlite,
    SqliteConnection,
};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::domain::time::Timestamp;
use crate::telemetry::metrics::Metrics;

use super::errors::{TxError, is_broken_connection};
use super::sqlite::deadline::Deadline;
use super::statement::{Arg, Dialect, Statement};

/// A row both databases can give.
pub(super) trait SharedRow:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> SharedRow for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// The connection of either database.
#[derive(Debug)]
pub(super) enum DriverConnection {
    Postgres(Box<PgConnection>),
    /// With the end of its statements, where they have one.
    Sqlite(Box<SqliteConnection>, Option<Deadline>),
}

/// Whether a connection may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Soundness {
    /// Every statement has been answered.
    Sound,
    /// A statement is under way, or its caller went away before the answer.
    Asked,
    /// The connection broke, or an answer was unreadable.
    Broken,
    /// No answer came within the limit.
    Silent,
}

/// One connection. Statements are counted, and every answer has a limit, beyond which the connection is
/// [`Soundness::Silent`] and can only be thrown away.
#[derive(Debug)]
pub(super) struct Connection {
    driver: DriverConnection,
    metrics: Metrics,
    limit: Duration,
    soundness: Soundness,
}

/// Time that a COMMIT may take beyond a statement: its disk is shared.
const COMMIT_MARGIN: Duration = Duration::from_secs(2);

impl Connection {
    /// Over `driver`, with the longest wait for an answer: beyond what the server allows a statement.
    pub(super) fn new(driver: DriverConnection, metrics: Metrics, limit: Duration) -> Self {
        Self { driver, metrics, limit, soundness: Soundness::Sound }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.driver {
            DriverConnection::Postgres(_) => Dialect::Postgres,
            DriverConnection::Sqlite(..) => Dialect::Sqlite,
        }
    }

    pub(super) fn soundness(&self) -> Soundness {
        self.soundness
    }

    /// Every row of `statement`, in the order the database gave them.
    pub(super) async fn fetch<T: SharedRow>(
        &mut self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, TxError> {
        let text = statement.text(self.dialect());
        let metrics = self.metrics.clone();
        let _running = statement.operation().begin(&metrics);
        Ok(self.fetch_uncounted(text, args).await?)
    }

    /// Every row of `text`, which is counted elsewhere.
    pub(super) async fn fetch_uncounted<T: SharedRow>(
        &mut self,
        text: SqlStr,
        args: &[Arg],
    ) -> Result<Vec<T>, Error> {
        self.soundness = Soundness::Asked;
        let limit = self.limit;
        let answer = match &mut self.driver {
            DriverConnection::Postgres(c) => timeout(limit, fetch_postgres(&mut **c, text, args)).await,
            DriverConnection::Sqlite(c, deadline) => {
                deadline.as_ref().inspect(|deadline| deadline.begin());
                let answer = timeout(limit, fetch_sqlite(&mut **c, text, args)).await;
                deadline.as_ref().inspect(|deadline| deadline.end());
                answer
            }
        };
        self.settled(answer, limit)
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_first<T: SharedRow>(
        &mut self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Option<T>, TxError> {
        Ok(self.fetch(statement, args).await?.into_iter().next())
    }

    /// Runs `statement` and returns the number of rows it changed.
    pub(super) async fn execute(&mut self, statement: &Statement, args: &[Arg]) -> Result<u64, TxError> {
        let text = statement.text(self.dialect());
        let metrics = self.metrics.clone();
        let _running = statement.operation().begin(&metrics);
        self.soundness = Soundness::Asked;
        let limit = self.limit;
        let answer = match &mut self.driver {
            DriverConnection::Postgres(c) => {
                let query = sqlx::query_with(text, postgres_args(args)?);
                timeout(limit, query.execute(&mut **c)).await.map(|done| done.map(|d| d.rows_affected()))
            }
            DriverConnection::Sqlite(c, _) => {
                let query = sqlx::query_with(text, sqlite_args(args)?);
                timeout(limit, query.execute(&mut **c)).await.map(|done| done.map(|d| d.rows_affected()))
            }
        };
        Ok(self.settled(answer, limit)?)
    }

    /// Begins a transaction, and gives the server's time, where there is a server; on SQLite as the writer at once, so that it never
    /// has to give way later.
    pub(super) async fn begin(&mut self) -> Result<Option<Timestamp>, TxError> {
        let (limit, begun) = (self.limit, BEGIN_BY_SERVER);
        let DriverConnection::Postgres(driver) = &mut self.driver else {
            self.command("BEGIN IMMEDIATE", limit).await?;
            return Ok(None);
        };
        self.soundness = Soundness::Asked;
        let answer = timeout(limit, sqlx::raw_sql(begun).fetch_all(&mut **driver)).await;
        let rows = self.settled(answer, limit)?;
        let micros = rows.first().ok_or(Error::RowNotFound)?.try_get(0)?;
        Ok(Some(Timestamp::from_micros(micros)))
    }

    /// Sends COMMIT. Never after an error: Postgres answers an aborted transaction's COMMIT with success.
    pub(super) async fn commit(&mut self) -> Result<(), TxError> {
        self.command("COMMIT", self.limit + COMMIT_MARGIN).await.map_err(TxError::at_commit)
    }

    /// Sends ROLLBACK.
    pub(super) async fn rollback(&mut self) -> Result<(), TxError> {
        Ok(self.command("ROLLBACK", self.limit).await?)
    }

    /// Whether the other side answers, within `limit`. What an earlier question left behind is read first, so that a
    /// connection that was left in the middle of one is sound again if this succeeds.
    pub(super) async fn ping(&mut self, limit: Duration) -> Result<(), Error> {
        self.soundness = Soundness::Asked;
        let answer = match &mut self.driver {
            DriverConnection::Postgres(c) => timeout(limit, c.ping()).await,
            DriverConnection::Sqlite(c, _) => timeout(limit, c.ping()).await,
        };
        self.settled(answer, limit)
    }

    /// Closes the connection, on Postgres within a second.
    pub(super) async fn close(self) {
        // The connection is gone either way.
        match self.driver {
            DriverConnection::Postgres(c) => drop(timeout(GOODBYE_WITHIN, c.close()).await),
            DriverConnection::Sqlite(c, deadline) => {
                // A statement that still runs ends first.
                deadline.inspect(|deadline| deadline.give_up());
                drop(c.close().await);
            }
        }
    }

    async fn command(&mut self, word: &'static str, limit: Duration) -> Result<(), Error> {
        self.soundness = Soundness::Asked;
        let answer = match &mut self.driver {
            DriverConnection::Postgres(c) => timeout(limit, c.execute(word)).await.map(|done| done.map(drop)),
            DriverConnection::Sqlite(c, _) => {
                timeout(limit, c.execute(word)).await.map(|done| done.map(drop))
            }
        };
        self.settled(answer, limit)
    }

    /// Updates the soundness by the answer.
    fn settled<T>(&mut self, answer: Result<Result<T, Error>, Elapsed>, limit: Duration) -> Result<T, Error> {
        let Ok(answer) = answer else {
            self.soundness = Soundness::Silent;
            return Err(no_answer("no answer", limit));
        };
        self.soundness = match &answer {
            Ok(_) => Soundness::Sound,
            Err(Error::Database(_)) if !answer.as_ref().is_err_and(is_broken_connection) => Soundness::Sound,
            Err(_) => Soundness::Broken,
        };
        answer
    }
}

/// One round trip; the clock is that of the moment, in microseconds since 1970.
const BEGIN_BY_SERVER: &str = "BEGIN; SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// The error for no answer within `limit`.
pub(super) fn no_answer(what: &str, limit: Duration) -> Error {
    let text = format!("{what} within {} ms", limit.as_millis());
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
}

async fn fetch_postgres<'c, T: SharedRow>(
    executor: impl Executor<'c, Database = Postgres>,
    text: SqlStr,
    args: &[Arg],
) -> Result<Vec<T>, Error> {
    sqlx::query_as_with(text, postgres_args(args)?).fetch_all(executor).await
}

async fn fetch_sqlite<'c, T: SharedRow>(
    executor: impl Executor<'c, Database = Sqlite>,
    text: SqlStr,
    args: &[Arg],
) -> Result<Vec<T>, Error> {
    sqlx::query_as_with(text, sqlite_args(args)?).fetch_all(executor).await
}

macro_rules! bind_all {
    ($made:expr, $args:expr) => {{
        let mut made = $made;
        for arg in $args {
            match arg {
                Arg::Text(v) => made.add(v.clone()),
                Arg::OptText(v) => made.add(v.clone()),
                Arg::Int(v) => made.add(*v),
                Arg::OptInt(v) => made.add(*v),
                Arg::OptFloat(v) => made.add(*v),
                Arg::Bool(v) => made.add(*v),
                Arg::OptBool(v) => made.add(*v),
            }
            .map_err(Error::Encode)?;
        }
        Ok(made)
    }};
}

fn postgres_args(args: &[Arg]) -> Result<PgArguments, Error> {
    bind_all!(PgArguments::default(), args)
}

fn sqlite_args(args: &[Arg]) -> Result<SqliteArguments, Error> {
    bind_all!(SqliteArguments::default(), args)
}
