//! One connection or pool of either database, speaking through [`Statement`]s.

use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Arguments, Executor, FromRow, PgConnection, Postgres, SqlStr, Sqlite, SqliteConnection};

use crate::telemetry::metrics::Metrics;

use super::failure::Failure;
use super::statement::{Arg, Dialect, Statement};

/// A row both databases can give.
pub(super) trait SharedRow:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> SharedRow for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// The connection of either database.
#[derive(Debug)]
pub(super) enum Link {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// One connection, owned by one lane; what it is asked is counted.
#[derive(Debug)]
pub(super) struct Connection {
    link: Link,
    metrics: Metrics,
}

impl Connection {
    pub(super) fn new(link: Link, metrics: Metrics) -> Self {
        Self { link, metrics }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.link {
            Link::Postgres(_) => Dialect::Postgres,
            Link::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Every row of `statement`, in the order the database gave them.
    pub(super) async fn fetch<T: SharedRow>(
        &mut self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, Failure> {
        let text = statement.text(self.dialect());
        let _running = statement.operation().begin(&self.metrics);
        let rows = match &mut self.link {
            Link::Postgres(c) => fetch_postgres(&mut **c, text, args).await?,
            Link::Sqlite(c) => fetch_sqlite(&mut **c, text, args).await?,
        };
        Ok(rows)
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_first<T: SharedRow>(
        &mut self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Option<T>, Failure> {
        Ok(self.fetch(statement, args).await?.into_iter().next())
    }

    /// Runs `statement` and tells how many rows it changed.
    pub(super) async fn execute(&mut self, statement: &Statement, args: &[Arg]) -> Result<u64, Failure> {
        let text = statement.text(self.dialect());
        let _running = statement.operation().begin(&self.metrics);
        let changed = match &mut self.link {
            Link::Postgres(c) => {
                sqlx::query_with(text, postgres_args(args)?).execute(&mut **c).await?.rows_affected()
            }
            Link::Sqlite(c) => {
                sqlx::query_with(text, sqlite_args(args)?).execute(&mut **c).await?.rows_affected()
            }
        };
        Ok(changed)
    }

    /// Begins a transaction; on SQLite as the writer at once, so that it never has to give way later.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        match &mut self.link {
            Link::Postgres(c) => c.execute("BEGIN").await.map(drop)?,
            Link::Sqlite(c) => c.execute("BEGIN IMMEDIATE").await.map(drop)?,
        }
        Ok(())
    }

    /// Sends COMMIT. Never after an error: Postgres answers an aborted transaction's COMMIT with success.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        let answer = match &mut self.link {
            Link::Postgres(c) => c.execute("COMMIT").await.map(drop),
            Link::Sqlite(c) => c.execute("COMMIT").await.map(drop),
        };
        answer.map_err(Failure::at_commit)
    }

    /// Gives the transaction up.
    pub(super) async fn rollback(&mut self) -> Result<(), Failure> {
        match &mut self.link {
            Link::Postgres(c) => c.execute("ROLLBACK").await.map(drop)?,
            Link::Sqlite(c) => c.execute("ROLLBACK").await.map(drop)?,
        }
        Ok(())
    }
}

/// Connections for reading, shared by everybody.
#[derive(Debug)]
pub(super) enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Pool {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Every row of `text`. Waits for a connection as long as the pool does, and for the answer without a limit.
    pub(super) async fn fetch<T: SharedRow>(
        &self,
        text: SqlStr,
        args: &[Arg],
    ) -> Result<Vec<T>, sqlx::Error> {
        match self {
            Self::Postgres(pool) => fetch_postgres(pool, text, args).await,
            Self::Sqlite(pool) => fetch_sqlite(pool, text, args).await,
        }
    }

    /// Connections open, and those of them that are idle.
    pub(super) fn size(&self) -> (u32, u32) {
        let (size, idle) = match self {
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
        };
        (size, u32::try_from(idle).unwrap_or(u32::MAX))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(pool) => pool.close().await,
        }
    }
}

async fn fetch_postgres<'c, T: SharedRow>(
    executor: impl Executor<'c, Database = Postgres>,
    text: SqlStr,
    args: &[Arg],
) -> Result<Vec<T>, sqlx::Error> {
    sqlx::query_as_with(text, postgres_args(args)?).fetch_all(executor).await
}

async fn fetch_sqlite<'c, T: SharedRow>(
    executor: impl Executor<'c, Database = Sqlite>,
    text: SqlStr,
    args: &[Arg],
) -> Result<Vec<T>, sqlx::Error> {
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
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(made)
    }};
}

fn postgres_args(args: &[Arg]) -> Result<PgArguments, sqlx::Error> {
    bind_all!(PgArguments::default(), args)
}

fn sqlite_args(args: &[Arg]) -> Result<SqliteArguments, sqlx::Error> {
    bind_all!(SqliteArguments::default(), args)
}
