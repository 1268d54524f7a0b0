//! The store of both databases: reads over a pool, lanes over connections of their own.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::saga::Clocks;
use crate::storage::clock::StoreClock;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::{Checkpoint, Circuit, Lane, Store};
use crate::storage::sql::transaction::SqlLane;
use crate::telemetry::metrics::Metrics;

use super::committed_heads::CommittedHeads;
use super::connection::SharedRow;
use super::connector::Connector;
use super::postgres::migrate as postgres;
use super::read_pool::ReadPool;
use super::sqlite::files::LOST;
use super::sqlite::maintenance as sqlite;
use super::statement::{Arg, LazyStatement, NO_TABLE, Operation, Statement};

/// The longest a transaction may take before COMMIT: beyond every statement's own limit, so that it is only met by many slow
/// statements one after the other.
pub(super) const TRANSACTION_LIMIT: Duration = Duration::from_secs(10);

static SCHEMA: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select(NO_TABLE),
        "SELECT MAX(version) AS version FROM _sqlx_migrations WHERE success",
    )
});

#[derive(FromRow)]
struct SchemaRow {
    version: Option<i64>,
}

/// One database, behind every port: the reads are implemented in [`super::reads`].
#[derive(Debug)]
pub(super) struct SqlStore {
    pub(super) name: &'static str,
    pub(super) max_lanes: usize,
    pub(super) connector: Connector,
    pub(super) migrations: Connector,
    pub(super) read_pool: Arc<ReadPool>,
    pub(super) cipher: Arc<Cipher>,
    pub(super) clock: Arc<StoreClock>,
    /// By which lanes that are opened decide.
    pub(super) clocks: RwLock<Arc<Clocks>>,
    pub(super) metrics: Metrics,
    /// Last events that lanes of this node were told are committed.
    pub(super) acknowledged: Arc<CommittedHeads>,
}

impl SqlStore {
    pub(super) fn clocks(&self) -> Arc<Clocks> {
        Arc::clone(&self.clocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn fetch<T: SharedRow>(
        &self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        self.read_pool.fetch(statement, args).await
    }

    pub(super) async fn fetch_first<T: SharedRow>(
        &self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.fetch(statement, args).await?.into_iter().next())
    }
}

#[async_trait]
impl Store for SqlStore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn clock(&self) -> &StoreClock {
        &self.clock
    }

    fn max_lanes(&self) -> usize {
        self.max_lanes
    }

    async fn open_lane(&self) -> Result<Box<dyn Lane>, StoreError> {
        let lane = SqlLane::open(
            self.connector.clone(),
            Arc::clone(&self.cipher),
            Arc::clone(&self.clock),
            self.clocks(),
            self.metrics.clone(),
            Arc::clone(&self.acknowledged),
            TRANSACTION_LIMIT,
        );
        Ok(Box::new(lane.await?))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match &self.migrations {
            Connector::Postgres { options, session, timeout, .. } => {
                postgres::migrate(options, session, *timeout).await
            }
            Connector::Sqlite { options, files, .. } => sqlite::migrate(options, files).await,
        }
    }

    fn known_schema(&self) -> i64 {
        match &self.migrations {
            Connector::Postgres { .. } => postgres::known_schema(),
            Connector::Sqlite { .. } => sqlite::known_schema(),
        }
    }

    async fn schema(&self) -> Result<i64, StoreError> {
        let newest: Option<SchemaRow> = self.fetch_first(&SCHEMA, &[]).await?;
        Ok(newest.and_then(|row| row.version).unwrap_or_default())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.connector.check()?;
        self.read_pool.ping().await
    }

    fn fault(&self) -> Option<&'static str> {
        self.connector.check().err().map(|_| LOST)
    }

    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        match &self.connector {
            Connector::Postgres { .. } => Ok(Checkpoint::Done),
            Connector::Sqlite { options, files, .. } => sqlite::checkpoint(options, files).await,
        }
    }

    async fn backup(&self, file: &std::path::Path) -> Result<(), StoreError> {
        match &self.connector {
            Connector::Postgres { .. } => Err(StoreError::NotHappened(
                "a Postgres database is backed up with its own tools: pg_dump or pg_basebackup".to_owned(),
            )),
            Connector::Sqlite { options, files, .. } => sqlite::backup(options, files, file).await,
        }
    }

    fn pool_size(&self) -> (u32, u32) {
        self.read_pool.pool_size()
    }

    fn circuit(&self) -> Circuit {
        self.read_pool.circuit()
    }

    async fn close(&self) {
        self.read_pool.close().await;
        if let Connector::Sqlite { files, .. } = &self.connector {
            files.close().await;
        }
    }
}
