//! Connection pool for reads: bounded in number, tested before use; a connection with an outstanding answer is never used
//! again.

mod pooled;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sqlx::{Error, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::storage::sql::connection::{Connection, SharedRow, Soundness};
use crate::storage::sql::connector::Connector;
use crate::storage::sql::errors::is_broken_connection;
use crate::storage::sql::statement::{Arg, Dialect};
use crate::telemetry::metrics::Metrics;
use pooled::Pooled;

/// The bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    /// Idle connections that are kept open.
    pub(super) min: u32,
    pub(super) max: u32,
    /// The longest wait for one, a new one included.
    pub(super) acquire: Duration,
    /// One that was idle for this long is closed, down to the minimum.
    pub(super) idle: Duration,
    /// Each is replaced after this.
    pub(super) lifetime: Duration,
    /// One that was used within this time is used again untested.
    pub(super) trusted: Duration,
}

/// Longest test of a connection before its use.
const TEST_WITHIN: Duration = Duration::from_secs(1);

/// Longest wait for the rest of an answer whose caller has gone.
const RECOVER_WITHIN: Duration = Duration::from_secs(1);

/// Between two looks for connections that are too old, idle for too long, or too few.
const MAINTAIN_EVERY: Duration = Duration::from_secs(10);

const MAINTAIN_FIRST: Duration = Duration::from_secs(2);

/// Connections that may turn out broken under one read before it fails: those used a moment ago are not tested first.
const BROKEN_CONNECTIONS: u32 = 3;

/// Longest wait of closing for reads that run.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A pool of our own. A place is taken for as long as a connection is used, and given back at once when its answer does not
/// come: such a connection is thrown away, and with it all idle ones, since what silenced one may have silenced each.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    limits: PoolLimits,
    places: Arc<Semaphore>,
    /// Last in, first out, so that what is not needed gets old.
    idle: Mutex<Vec<Pooled>>,
    open: Arc<AtomicU32>,
    runtime: Handle,
    metrics: Metrics,
}

/// A connection and the place it takes. Dropping it in the middle of a question is safe.
struct Leased {
    pool: Arc<Pool>,
    pooled: Option<Pooled>,
    place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Nothing is connected yet. Has to be called inside a runtime, which has to outlive the pool.
    pub(super) fn new(connector: Connector, limits: PoolLimits, metrics: Metrics) -> Arc<Self> {
        let pool = Arc::new(Self {
            connector,
            limits,
            places: Arc::new(Semaphore::new(limits.max as usize)),
            idle: Mutex::default(),
            open: Arc::default(),
            runtime: Handle::current(),
            metrics,
        });
        pool.runtime.spawn(maintain(Arc::downgrade(&pool)));
        pool
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.connector {
            Connector::Postgres { .. } => Dialect::Postgres,
            Connector::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// The most connections that are open at a time.
    pub(super) fn most(&self) -> u32 {
        self.limits.max
    }

    /// Connections open, and those of them that are idle.
    pub(super) fn size(&self) -> (u32, u32) {
        let idle = u32::try_from(self.idle().len()).unwrap_or(u32::MAX);
        (self.open.load(Ordering::Relaxed).max(idle), idle)
    }

    /// Every row of `text`. A read changes nothing, so that one whose connection broke or fell silent is asked again on another.
    /// Waits for a connection and for each answer within the pool's limits; how often, whoever asks has to bound.
    pub(super) async fn fetch<T: SharedRow>(
        self: &Arc<Self>,
        text: SqlStr,
        args: &[Arg],
    ) -> Result<Vec<T>, Error> {
        let mut broken = 0;
        loop {
            let mut leased = self.acquire().await?;
            match leased.connection().fetch_uncounted(text.clone(), args).await {
                Err(error) if broken < BROKEN_CONNECTIONS && is_broken_connection(&error) => broken += 1,
                answer => return answer,
            }
        }
    }

    /// Whether the database answers `text`: on an idle connection, else on a new one, which takes no place, so that neither a
    /// pool in use nor connections that have gone silent hide that new ones work.
    pub(super) async fn probe<T: SharedRow>(self: &Arc<Self>, text: SqlStr) -> Result<(), Error> {
        if let Ok(place) = self.places.clone().try_acquire_owned()
            && let Some(pooled) = self.pop()
        {
            let mut leased = Leased { pool: self.clone(), pooled: Some(pooled), place: Some(place) };
            if leased.connection().ping(TEST_WITHIN / 2).await.is_ok() {
                return Ok(());
            }
        }
        let mut connection = self.connector.connect(self.metrics.clone()).await?;
        connection.fetch_uncounted::<T>(text, &[]).await?;
        match self.places.clone().try_acquire_owned() {
            Ok(place) => {
                drop(Leased { pool: self.clone(), pooled: Some(self.count(connection)), place: Some(place) })
            }
            Err(_) => connection.close().await,
        }
        Ok(())
    }

    /// Closes every connection, letting reads that run finish within [`CLOSE_WITHIN`].
    pub(super) async fn close(&self) {
        // Not `close` first: reads that wait for a place are in the queue before this.
        let all = self.places.acquire_many(self.limits.max);
        drop(timeout(CLOSE_WITHIN, all).await);
        self.places.close();
        let idle = std::mem::take(&mut *self.idle());
        for pooled in idle {
            pooled.connection.close().await;
        }
    }

    async fn acquire(self: &Arc<Self>) -> Result<Leased, Error> {
        timeout(self.limits.acquire, self.acquire_any()).await.unwrap_or(Err(Error::PoolTimedOut))
    }

    async fn acquire_any(self: &Arc<Self>) -> Result<Leased, Error> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| Error::PoolClosed)?;
        let mut leased = Leased { pool: self.clone(), pooled: None, place: Some(place) };
        while let Some(pooled) = self.pop() {
            if self.is_old(&pooled) {
                self.dispose(pooled);
                continue;
            }
            let trusted = pooled.unused_for() <= self.limits.trusted;
            leased.pooled = Some(pooled);
            if trusted || leased.connection().ping(TEST_WITHIN).await.is_ok() {
                return Ok(leased);
            }
            leased.discard();
        }
        let connection = self.connector.connect(self.metrics.clone()).await?;
        leased.pooled = Some(self.count(connection));
        Ok(leased)
    }

    fn count(&self, connection: Connection) -> Pooled {
        Pooled::new(connection, &self.open)
    }

    fn pop(&self) -> Option<Pooled> {
        self.idle().pop()
    }

    fn is_old(&self, pooled: &Pooled) -> bool {
        pooled.age() > self.limits.lifetime
    }

    fn put_back(&self, mut pooled: Pooled) {
        if self.places.is_closed() || self.is_old(&pooled) {
            return self.dispose(pooled);
        }
        pooled.touch();
        self.idle().push(pooled);
    }

    /// Closes the connection without waiting for it.
    fn dispose(&self, pooled: Pooled) {
        self.runtime.spawn(async move { pooled.connection.close().await });
    }

    /// Drops all idle connections: one has broken or gone silent, and the others may have as well.
    fn distrust(&self) {
        drop(std::mem::take(&mut *self.idle()));
    }

    /// Takes out connections that are too old or were idle for too long. The oldest are at the front.
    fn reap(&self) -> Vec<Pooled> {
        let mut idle = self.idle();
        let min = self.limits.min as usize;
        let mut spare = idle.len().saturating_sub(min);
        let (gone, kept) = std::mem::take(&mut *idle).into_iter().partition(|pooled| {
            let unused = spare > 0 && pooled.unused_for() > self.limits.idle;
            spare -= usize::from(unused);
            unused || self.is_old(pooled)
        });
        *idle = kept;
        gone
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Pooled>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the pool as its limits say until it is gone or closed.
async fn maintain(pool: Weak<Pool>) {
    // A command that is soon done needs no more than it asks for.
    let mut pause = MAINTAIN_FIRST;
    loop {
        sleep(std::mem::replace(&mut pause, MAINTAIN_EVERY)).await;
        let Some(pool) = pool.upgrade().filter(|pool| !pool.places.is_closed()) else { return };
        for pooled in pool.reap() {
            pooled.connection.close().await;
        }
        while pool.open.load(Ordering::Relaxed) < pool.limits.min {
            let Ok(place) = pool.places.clone().try_acquire_owned() else { break };
            // The next read reports the error.
            let Ok(connection) = pool.connector.connect(pool.metrics.clone()).await else { break };
            drop(Leased { pool: pool.clone(), pooled: Some(pool.count(connection)), place: Some(place) });
        }
    }
}

impl Leased {
    fn connection(&mut self) -> &mut Connection {
        &mut self.pooled.as_mut().expect("it is leased with a connection").connection
    }

    /// Keeps the place and throws the connection away.
    fn discard(&mut self) {
        self.pooled = None;
        self.pool.distrust();
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let (Some(pooled), place) = (self.pooled.take(), self.place.take()) else { return };
        match pooled.connection.soundness() {
            Soundness::Sound => self.pool.put_back(pooled),
            Soundness::Broken | Soundness::Silent => {
                // SQLite goes on with what nobody waits for any more, and until it has ended its place is taken.
                if pooled.connection.dialect() == Dialect::Sqlite {
                    self.pool.runtime.spawn(async move {
                        pooled.connection.close().await;
                        drop(place);
                    });
                } else {
                    drop(pooled);
                    self.pool.distrust();
                }
            }
            // The caller has gone, which says nothing of the connection.
            Soundness::Asked => {
                let pool = self.pool.clone();
                self.pool.runtime.spawn(recover(pool, pooled, place));
            }
        }
    }
}

async fn recover(pool: Arc<Pool>, mut pooled: Pooled, place: Option<OwnedSemaphorePermit>) {
    match pool.dialect() {
        Dialect::Postgres => match pooled.connection.ping(RECOVER_WITHIN).await {
            Ok(()) => pool.put_back(pooled),
            Err(_) => drop(pooled),
        },
        Dialect::Sqlite => pooled.connection.close().await,
    }
    drop(place);
}
