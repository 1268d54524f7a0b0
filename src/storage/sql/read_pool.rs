//! Reads of the database, behind a circuit breaker: while it does not answer, a read is refused at once, and a prober finds out
//! when it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx_macros::FromRow;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::telemetry::metrics::Metrics;

use super::circuit_breaker::{CircuitBreaker, CircuitChange, Probe};
use super::connection::{SharedRow, no_answer};
use super::errors::{self, TxError};
use super::pool::Pool;
use super::statement::{Arg, Dialect, LazyStatement, NO_TABLE, Operation, Statement};
use crate::storage::error::StoreError;
use crate::storage::ports::Circuit;

/// A read that waits for longer starts a probe: far beyond what any usual read takes.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// Pause between two probes: little beside a probe of a dead database, and no load for one that refuses at once.
const PROBE_EVERY: Duration = Duration::from_millis(100);

static PING: LazyStatement =
    LazyStatement::new(|| Statement::new(Operation::Select(NO_TABLE), "SELECT CAST(1 AS BIGINT) AS one"));

#[derive(FromRow)]
struct PingRow {
    #[expect(dead_code, reason = "that there is a row is the answer")]
    one: i64,
}

/// Connections for reading, behind a circuit breaker.
#[derive(Debug)]
pub(super) struct ReadPool {
    name: &'static str,
    pool: Arc<Pool>,
    /// The longest a read may take, waiting for a connection included.
    limit: Duration,
    breaker: Mutex<CircuitBreaker>,
    /// Probes run where the store was made, which outlives the threads that only ask.
    runtime: Handle,
    metrics: Metrics,
}

impl ReadPool {
    /// Has to be called inside a runtime.
    pub(super) fn new(name: &'static str, pool: Arc<Pool>, limit: Duration, metrics: Metrics) -> Arc<Self> {
        metrics.database_pool_max_connections.set(pool.most().into());
        let (breaker, runtime) = (Mutex::default(), Handle::current());
        Arc::new(Self { name, pool, limit, breaker, runtime, metrics })
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.pool.dialect()
    }

    pub(super) fn circuit(&self) -> Circuit {
        self.breaker().circuit()
    }

    pub(super) fn pool_size(&self) -> (u32, u32) {
        self.pool.size()
    }

    /// Ends the prober and closes every connection, letting reads that run finish.
    pub(super) async fn close(&self) {
        self.breaker().retire();
        self.pool.close().await;
    }

    /// Every row of `statement`, within the limit; at once [`StoreError::Unavailable`] while the circuit is open.
    pub(super) async fn fetch<T: SharedRow>(
        self: &Arc<Self>,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        if self.circuit() == Circuit::Open {
            return Err(StoreError::Unavailable("it has not answered lately and was not asked".to_owned()));
        }
        let running = statement.operation().begin(&self.metrics);
        let began = running.began;
        let text = statement.text(self.dialect());
        let mut asked = Box::pin(timeout(self.limit, self.pool.fetch(text, args)));
        let answer = tokio::select! {
            biased;
            answer = &mut asked => answer,
            () = sleep(SUSPECT_AFTER) => {
                self.breaker().suspect();
                self.probe_if_unsure();
                asked.await
            }
        };
        match answer {
            Ok(Ok(rows)) => {
                self.report(Probe::Ok, began);
                Ok(rows)
            }
            Ok(Err(error)) => {
                if let Some(probe) = errors::probe_of(&error) {
                    self.report(probe, began);
                }
                Err(TxError::from(error).error)
            }
            Err(_) => {
                self.report(Probe::NoResponse, began);
                Err(TxError::from(no_answer("no answer", self.limit)).error)
            }
        }
    }

    /// Whether the database answers, by a read like any other.
    pub(super) async fn ping(self: &Arc<Self>) -> Result<(), StoreError> {
        self.fetch::<PingRow>(&PING, &[]).await.map(drop)
    }

    fn report(self: &Arc<Self>, probe: Probe, began: Instant) {
        let change = self.breaker().record(probe, began, Instant::now());
        match change {
            None => {}
            Some(CircuitChange::Opened) => {
                tracing::error!(
                    store = self.name,
                    "the database does not answer; reads are refused until it does"
                );
            }
            Some(CircuitChange::Closed(refused)) => {
                let refused_ms = u64::try_from(refused.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(store = self.name, refused_ms, "the database answers again");
            }
        }
        if probe == Probe::NoResponse {
            self.probe_if_unsure();
        }
    }

    fn probe_if_unsure(self: &Arc<Self>) {
        if self.breaker().start_prober() {
            self.runtime.spawn(probe(Arc::downgrade(self)));
        }
    }

    async fn probe_once(self: &Arc<Self>, within: Duration) {
        let began = Instant::now();
        let asked = self.pool.probe::<PingRow>(PING.text(self.dialect()));
        let probe = match timeout(within, asked).await {
            Ok(Ok(())) => Some(Probe::Ok),
            Ok(Err(error)) => errors::probe_of(&error),
            Err(_) => Some(Probe::NoResponse),
        };
        if let Some(probe) = probe {
            self.report(probe, began);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes until the circuit breaker needs no more, or the pool is gone.
async fn probe(read_pool: Weak<ReadPool>) {
    while let Some(read_pool) = read_pool.upgrade() {
        let Some(within) = read_pool.breaker().next_probe(read_pool.limit) else { return };
        read_pool.probe_once(within).await;
        drop(read_pool);
        sleep(PROBE_EVERY).await;
    }
}
