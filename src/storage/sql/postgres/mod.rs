//! Postgres 15 or later: many lanes, many nodes.

use std::str::FromStr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::storage::clock::StoreClock;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::Store;
use crate::storage::sql::connector::Connector;
use crate::storage::sql::pool::{Pool, PoolLimits};
use crate::storage::sql::read_pool::ReadPool;
use crate::storage::sql::store::{SqlStore, TRANSACTION_LIMIT};
use crate::telemetry::metrics::Metrics;

pub(super) mod migrate;
pub(super) mod session;
mod tls;

use session::SessionSettings;

/// More lanes than this only wait for each other: commits share the log's disk.
const MAX_LANES: usize = 4;

/// A pooled connection that was used within this time is used again untested: a round trip more would cost a read as much
/// again. One that is lost meanwhile is found by the read, which takes another.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The longest wait of a migration for a lock: meanwhile others wait behind it.
const MIGRATION_LOCK_WITHIN: Duration = Duration::from_secs(2);

/// An answer may take so much longer than its statement may run.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Address of Postgres, and the bounds of connections and statements.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://…`; may hold a password, an `sslmode` and an `sslrootcert`. A server elsewhere has to show a certificate for
    /// its name unless a mode is named.
    pub url: SecretString,
    /// Connections for reading that are kept open though nobody reads.
    pub min_connections: u32,
    /// Connections for reading; each lane has its own besides.
    pub max_connections: u32,
    /// The longest wait for one of them.
    pub acquire_timeout: Duration,
    /// The longest wait for a new one.
    pub connect_timeout: Duration,
    /// One that was idle for this long is closed.
    pub idle_timeout: Duration,
    /// Each is replaced after this, so that a moved primary is found.
    pub max_lifetime: Duration,
    /// The longest a statement may run; set on the server's side.
    pub statement_timeout: Duration,
    /// The longest wait for a row; below the statement's, so that the lock is what is blamed.
    pub lock_timeout: Duration,
}

/// The store behind `options`. Nothing is connected yet: a database that is away makes every call
/// [`StoreError::Unavailable`] until it is there. Statements are counted in `metrics`.
/// Has to be called inside a runtime.
///
/// # Errors
/// [`StoreError::NotHappened`] for a URL that is none; the URL is not repeated.
pub fn connect(
    options: &PostgresOptions,
    cipher: Arc<Cipher>,
    metrics: Metrics,
) -> Result<Arc<dyn Store>, StoreError> {
    let driver = driver_options(options.url.expose_secret())?;
    let Sessions { migrating, reading, writing } = Sessions::of(options);
    // The server ends a statement by itself; this is for a server that has gone silent.
    let answer = options.statement_timeout + ANSWER_MARGIN;
    let connector = |session| Connector::Postgres {
        options: Box::new(driver.clone()),
        session: Arc::new(session),
        timeout: options.connect_timeout,
        answer,
    };
    let pool = Pool::new(connector(reading), pool_limits(options), metrics.clone());
    Ok(Arc::new(SqlStore {
        name: "postgres",
        max_lanes: MAX_LANES,
        connector: connector(writing),
        migrations: connector(migrating),
        // The wait for a connection is part of it, so that a request that reads before it writes is refused in about the
        // time of one that only writes.
        read_pool: ReadPool::new("postgres", pool, options.acquire_timeout.max(answer), metrics.clone()),
        cipher,
        clock: Arc::new(StoreClock::of_server()),
        clocks: RwLock::default(),
        metrics,
        acknowledged: Arc::default(),
    }))
}

fn driver_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let plain = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::NotHappened("the database url is not one of postgres".to_owned()))?
        .application_name("bellhop")
        .disable_statement_logging();
    let verified = tls::verified(plain, url);
    if tls::is_exposed(&verified) {
        tracing::warn!(sslmode = ?verified.get_ssl_mode(), "the way to Postgres is not protected by TLS with a checked certificate");
    }
    Ok(verified)
}

/// Settings of the sessions of each kind of connection.
struct Sessions {
    /// A migration may take longer than any statement of daily life, but waits for no lock for longer than the others.
    migrating: SessionSettings,
    reading: SessionSettings,
    writing: SessionSettings,
}

impl Sessions {
    fn of(options: &PostgresOptions) -> Self {
        // A commit that was answered has to be on disk, whatever the database's own default is.
        let lasting = SessionSettings::new(vec![("synchronous_commit", "on".to_owned())]);
        let migrating = lasting.with(&[("lock_timeout", &MIGRATION_LOCK_WITHIN.as_millis().to_string())]);
        let bounded = lasting.with(&[
            ("statement_timeout", &options.statement_timeout.as_millis().to_string()),
            ("lock_timeout", &options.lock_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", &TRANSACTION_LIMIT.as_millis().to_string()),
            ("default_transaction_isolation", "read committed"),
            // See docs/decisions/0013: every write finds its rows by key, whatever the tables held when it was planned; and
            // no plan is worth compiling, least of all one that only looks dear because scans are discouraged.
            ("enable_seqscan", "off"),
            ("jit", "off"),
        ]);
        // See docs/decisions/0024: lists walk along an index instead of sorting a whole history, whatever is expected of it.
        let reading = bounded.with(&[("enable_sort", "off")]);
        let writing = bounded.with(&[("enable_hashjoin", "off"), ("enable_mergejoin", "off")]);
        Self { migrating, reading, writing }
    }
}

fn pool_limits(options: &PostgresOptions) -> PoolLimits {
    PoolLimits {
        min: options.min_connections.min(options.max_connections),
        max: options.max_connections,
        acquire: options.acquire_timeout,
        idle: options.idle_timeout,
        lifetime: options.max_lifetime,
        trusted: TRUSTED_FOR,
    }
}
