//! The one road to the database for reads, with a breaker before it: while nobody answers there, a read is refused at
//! once, and a prober of its own finds out when to go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx_macros::FromRow;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::telemetry::metrics::Metrics;

use super::circuit_breaker::{Breaker, Heard, Turn};
use super::connection::{SharedRow, no_answer};
use super::errors::{self, Failure};
use super::pool::Pool;
use super::statement::{Arg, Dialect, LazyStatement, Statement};
use crate::storage::error::StoreError;
use crate::storage::ports::Circuit;

/// A read that waits for so long is worth a probe: far beyond what any read of daily life takes.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// Between two probes. Little beside what a probe of a dead database takes, and no load for one that refuses at once.
const PROBE_EVERY: Duration = Duration::from_millis(100);

static PING: LazyStatement = LazyStatement::new(|| Statement::new("SELECT CAST(1 AS BIGINT) AS one"));

#[derive(FromRow)]
struct PingRow {
    #[expect(dead_code, reason = "that there is a row is the answer")]
    one: i64,
}

/// A pool for reading, behind its breaker.
#[derive(Debug)]
pub(in crate::storage) struct Reading {
    name: &'static str,
    pool: Arc<Pool>,
    /// The longest a read may take, waiting for a connection included.
    limit: Duration,
    breaker: Mutex<Breaker>,
    /// Probes run where the store was made, which outlives the threads that only ask.
    runtime: Handle,
    metrics: Metrics,
}

impl Reading {
    /// Has to be called inside a runtime.
    pub(in crate::storage) fn new(
        name: &'static str,
        pool: Arc<Pool>,
        limit: Duration,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (breaker, runtime) = (Mutex::default(), Handle::current());
        Arc::new(Self { name, pool, limit, breaker, runtime, metrics })
    }

    pub(in crate::storage) fn dialect(&self) -> Dialect {
        self.pool.dialect()
    }

    pub(in crate::storage) fn circuit(&self) -> Circuit {
        self.breaker().circuit()
    }

    pub(in crate::storage) fn pool_size(&self) -> (u32, u32) {
        self.pool.size()
    }

    /// Ends the prober and closes every connection, letting reads that run finish.
    pub(in crate::storage) async fn close(&self) {
        self.breaker().retire();
        self.pool.close().await;
    }

    /// Every row of `statement`, within the limit; at once [`StoreError::Unavailable`] while the circuit is open.
    pub(in crate::storage) async fn fetch<T: SharedRow>(
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
            () = sleep(DOUBT_AFTER) => {
                self.breaker().doubt();
                self.probe_if_unsure();
                asked.await
            }
        };
        match answer {
            Ok(Ok(rows)) => {
                self.report(Heard::Answer, began);
                Ok(rows)
            }
            Ok(Err(error)) => {
                if let Some(heard) = errors::heard(&error) {
                    self.report(heard, began);
                }
                Err(Failure::from(error).error)
            }
            Err(_) => {
                self.report(Heard::Silence, began);
                Err(Failure::from(no_answer("no answer", self.limit)).error)
            }
        }
    }

    /// Whether the database answers, by a read like any other.
    pub(in crate::storage) async fn ping(self: &Arc<Self>) -> Result<(), StoreError> {
        self.fetch::<PingRow>(&PING, &[]).await.map(drop)
    }

    fn report(self: &Arc<Self>, heard: Heard, began: Instant) {
        let turn = self.breaker().heard(heard, began, Instant::now());
        match turn {
            None => {}
            Some(Turn::Opened) => {
                tracing::error!(
                    store = self.name,
                    "the database does not answer; reads are refused until it does"
                );
            }
            Some(Turn::Closed(refused)) => {
                let refused_ms = u64::try_from(refused.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(store = self.name, refused_ms, "the database answers again");
            }
        }
        if heard == Heard::Silence {
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
        let heard = match timeout(within, asked).await {
            Ok(Ok(())) => Some(Heard::Answer),
            Ok(Err(error)) => errors::heard(&error),
            Err(_) => Some(Heard::Silence),
        };
        if let Some(heard) = heard {
            self.report(heard, began);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until it is known how things are, or nobody wants to know any more.
async fn probe(reading: Weak<Reading>) {
    while let Some(reading) = reading.upgrade() {
        let Some(within) = reading.breaker().next_probe(reading.limit) else { return };
        reading.probe_once(within).await;
        drop(reading);
        sleep(PROBE_EVERY).await;
    }
}
