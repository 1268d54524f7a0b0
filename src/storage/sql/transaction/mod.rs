//! Many commands, one transaction: the writer both databases share.

mod accounts;
mod answer;
mod applied_commands;
mod audit;
mod batch;
mod business_lock;
mod businesses;
mod catalog;
mod deadline_facts;
mod deliveries;
mod device_acks;
mod devices;
mod drivers;
mod events;
mod execute;
mod held_copy;
mod holds;
mod idempotency;
mod identity;
mod inbox;
mod intents;
mod invitations;
mod jobs;
mod key_rotation;
mod maintenance;
mod members;
mod menu;
mod moneys;
mod nodes;
mod notifications;
mod order_numbers;
mod order_rows;
mod orders;
mod outage;
mod outcome;
mod payments;
mod reach;
mod sagas;
mod search_index;
mod sessions;
mod suspensions;
mod taking_in;
mod waiting_orders;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::domain::saga::Clocks;
use crate::domain::time::Timestamp;
use crate::storage::clock::StoreClock;
use crate::storage::commands::{Command, Committed};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::{Attempt, Lane};
use crate::storage::sql::committed_heads::CommittedHeads;
use crate::storage::sql::connection::{Connection, Soundness};
use crate::storage::sql::connector::Connector;
use crate::storage::sql::errors::{Retry, TxError, away};
use crate::storage::sql::statement::Dialect;
use crate::telemetry::metrics::Metrics;

use batch::Transaction;

pub(super) use idempotency::{RESPONSE_TTL, ResponseRow};
pub(super) use order_rows::ITEMS_OF_ORDERS;

/// A writer over its own connection.
pub(super) struct SqlLane {
    connector: Connector,
    /// `None` while a transaction runs and after one left the connection in doubt: what is dropped in the middle of
    /// `run` takes its connection along, and the database rolls back.
    connection: Option<Connection>,
    cipher: Arc<Cipher>,
    clock: Arc<StoreClock>,
    clocks: Arc<Clocks>,
    metrics: Metrics,
    /// Last events that lanes of this node were told are committed.
    acknowledged: Arc<CommittedHeads>,
    /// The longest a transaction may take before COMMIT, in all; each answer has the connection's own limit.
    limit: Duration,
}

impl SqlLane {
    /// Connects to the database. The store's clock has been told the time by then.
    pub(super) async fn open(
        connector: Connector,
        cipher: Arc<Cipher>,
        clock: Arc<StoreClock>,
        clocks: Arc<Clocks>,
        metrics: Metrics,
        acknowledged: Arc<CommittedHeads>,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        let mut lane =
            Self { connector, connection: None, cipher, clock, clocks, metrics, acknowledged, limit };
        let mut connection = lane.connector.connect(lane.metrics.clone()).await.map_err(away)?;
        lane.check_identity(&mut connection).await.map_err(|failure| failure.error)?;
        if connection.dialect() == Dialect::Postgres {
            lane.begun(&mut connection).await.map_err(|failure| failure.error)?;
            connection.rollback().await.map_err(|failure| failure.error)?;
        }
        lane.connection = Some(connection);
        Ok(lane)
    }

    /// Begins a transaction, and gives the time at which everything in it is decided.
    async fn begun(&self, connection: &mut Connection) -> Result<Timestamp, TxError> {
        let told = connection.begin().await?;
        Ok(self.clock.of_transaction(told))
    }

    /// A connection with a transaction begun, and its time. One that was idle may have been lost meanwhile: nothing was asked
    /// of it yet, so a new one takes its place at once.
    async fn begin(&mut self) -> Result<(Connection, Timestamp), TxError> {
        if let Some(mut idle) = self.connection.take() {
            match self.begun(&mut idle).await {
                Ok(now) => return Ok((idle, now)),
                // A file does not go away by itself: it is busy, and trying again would double the wait.
                Err(failure) if idle.dialect() == Dialect::Sqlite => {
                    self.keep_if_sound(idle);
                    return Err(failure);
                }
                Err(_) => {}
            }
        }
        let mut fresh = self.connector.connect(self.metrics.clone()).await.map_err(away)?;
        self.check_identity(&mut fresh).await?;
        let now = self.begun(&mut fresh).await?;
        Ok((fresh, now))
    }

    fn keep_if_sound(&mut self, connection: Connection) {
        if connection.soundness() == Soundness::Sound {
            self.connection = Some(connection);
        }
    }

    /// A new connection may be one to an older copy of the database: that is found out before it gives a number.
    async fn check_identity(&self, fresh: &mut Connection) -> Result<(), TxError> {
        let compared = identity::compare(fresh, &self.acknowledged, &self.metrics);
        match tokio::time::timeout(self.limit, compared).await {
            Ok(compared) => compared,
            Err(_) => {
                let limit = self.limit.as_millis();
                Err(StoreError::Unavailable(format!("the comparison of rooms took longer than {limit} ms"))
                    .into())
            }
        }
    }

    async fn run_once(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, TxError> {
        self.connector.check()?;
        let (mut connection, now) = self.begin().await?;
        let batch = Transaction::new(&mut connection, &self.cipher, commands, self.clocks.clone(), now);
        let done = match tokio::time::timeout(self.limit, batch.run(attempt)).await {
            Ok(done) => done,
            Err(_) => return Err(self.took_too_long(connection).await),
        };
        let failure = match done {
            Ok(committed) => match connection.commit().await {
                Ok(()) => {
                    self.connection = Some(connection);
                    // What went into a file that is not there any more may be found again when it is put back.
                    self.connector.check().map_err(|lost| StoreError::OutcomeUnknown(lost.to_string()))?;
                    self.acknowledged.record(&committed.events, Instant::now());
                    return Ok(committed);
                }
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        let in_doubt = matches!(failure.error, StoreError::OutcomeUnknown(_));
        if !in_doubt && connection.soundness() == Soundness::Sound && connection.rollback().await.is_ok() {
            self.keep_if_sound(connection);
        }
        Err(failure)
    }

    /// Whether it was the transaction that was slow, or the other side that has gone, is told by whether it still answers.
    /// The connection is not used again, whichever it was.
    async fn took_too_long(&self, mut connection: Connection) -> TxError {
        let text = format!("the transaction took longer than {} ms", self.limit.as_millis());
        match connection.rollback().await {
            Ok(()) => StoreError::TooSlow(text).into(),
            Err(_) => StoreError::Unavailable(text).into(),
        }
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
                Err(TxError { retry: Retry::Now, .. }) if conflicts < MAX_CONFLICTS => conflicts += 1,
                other => return other.map_err(|failure| failure.error),
            }
        }
    }
}
