//! Many commands, one transaction: the writer both databases share.

mod accounts;
mod acks;
mod businesses;
mod catalog;
mod commands;
mod decide;
mod invitations;
mod keys;
mod orders;
mod outcome;
mod rooms;
mod rotation;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::telemetry::metrics::Metrics;

use super::cipher::Cipher;
use super::command::{Command, Committed};
use super::connection::Connection;
use super::connector::Connector;
use super::error::StoreError;
use super::failure::{Failure, Retry};
use super::ports::{Attempt, Lane};
use super::statement::Dialect;

use decide::Batch;

pub(super) use keys::{KEPT_FOR, KeptRow};
pub(super) use orders::ITEMS_OF_ORDERS;

/// A writer over its own connection.
pub(super) struct SqlLane {
    connector: Connector,
    /// `None` while a transaction runs and after one left the connection in doubt: what is dropped in the middle of
    /// `run` takes its connection along, and the database rolls back.
    connection: Option<Connection>,
    cipher: Arc<Cipher>,
    metrics: Metrics,
    /// The longest a transaction may take before COMMIT, and COMMIT itself.
    limit: Duration,
}

impl SqlLane {
    /// Connects.
    pub(super) async fn open(
        connector: Connector,
        cipher: Arc<Cipher>,
        metrics: Metrics,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        let connection = Some(connector.connect(metrics.clone()).await?);
        Ok(Self { connector, connection, cipher, metrics, limit })
    }

    /// A connection with a transaction begun. One that was idle may have been lost meanwhile: nothing was asked of
    /// it yet, so a new one takes its place at once.
    async fn begin(&mut self) -> Result<Connection, Failure> {
        if let Some(mut idle) = self.connection.take() {
            match tokio::time::timeout(self.limit, idle.begin()).await {
                Ok(Ok(())) => return Ok(idle),
                // A file does not go away by itself: it is busy, and trying again would double the wait.
                Ok(Err(failure)) if idle.dialect() == Dialect::Sqlite => return Err(failure),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        let mut fresh = self.connector.connect(self.metrics.clone()).await?;
        fresh.begin().await?;
        Ok(fresh)
    }

    async fn run_once(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, Failure> {
        let mut connection = self.begin().await?;
        let batch = Batch::new(&mut connection, &self.cipher, commands);
        let done = match tokio::time::timeout(self.limit, batch.run(attempt)).await {
            Ok(done) => done,
            Err(_) => {
                let limit = self.limit.as_millis();
                return Err(
                    StoreError::Unavailable(format!("the transaction took longer than {limit} ms")).into()
                );
            }
        };
        let failure = match done {
            Ok(committed) => match tokio::time::timeout(self.limit, connection.commit()).await {
                Ok(Ok(())) => {
                    self.connection = Some(connection);
                    return Ok(committed);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::commit_timed_out(),
            },
            Err(failure) => failure,
        };
        let in_doubt = matches!(failure.error, StoreError::OutcomeUnknown(_));
        if !in_doubt && matches!(tokio::time::timeout(self.limit, connection.rollback()).await, Ok(Ok(()))) {
            self.connection = Some(connection);
        }
        Err(failure)
    }
}

/// So often in a row a transaction may lose against another before its callers are told: the winner is through each time,
/// but the next in the queue may cross it again.
const MAX_CONFLICTS: u32 = 3;

#[async_trait]
impl Lane for SqlLane {
    async fn run(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, StoreError> {
        if commands.is_empty() {
            return Ok(Committed::default());
        }
        let mut conflicts = 0;
        loop {
            match self.run_once(commands, attempt).await {
                Err(Failure { retry: Retry::Now, .. }) if conflicts < MAX_CONFLICTS => conflicts += 1,
                other => return other.map_err(|failure| failure.error),
            }
        }
    }
}
