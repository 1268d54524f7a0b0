//! Passwords: argon2id on the blocking pool, few at a time, so that sign-ins cannot take the machine from orders. They are
//! hashed and compared in the composed form (NFC), so that equal characters are equal passwords.

mod errors;
mod policy;
mod queue;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use prometheus::IntGauge;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Semaphore;

use policy::{MAX_BYTES, composed};
use queue::HashQueue;

pub use errors::{PasswordError, PasswordSettingsError};
pub use policy::{NewPassword, PasswordPolicyError};
pub use queue::Standing;

/// Least memory a hash may use: 19 MiB.
const MIN_MEMORY_KIB: u32 = 19 * 1024;
/// Least passes over that memory.
const MIN_ITERATIONS: u32 = 2;

/// The cost of a hash, how many run at once, and how long others wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// KiB of memory a hash fills; at least 19456.
    pub memory_kib: u32,
    /// Passes over it; at least 2.
    pub iterations: u32,
    /// Lanes of argon2, computed one after the other.
    pub parallelism: u32,
    /// Hashes at once on this node; absent: half of the cores, at least 1.
    pub concurrency: Option<usize>,
    /// Requests that may wait for their turn, a quarter of them in places kept for [`Standing::Known`]; one more is
    /// answered `Busy` at once.
    pub max_waiting: usize,
    /// Milliseconds a request waits for its turn before it is answered `Busy`.
    pub max_wait_ms: u64,
}

impl Default for PasswordSettings {
    /// 20 ms a hash on the machine this was measured on, so 64 waiting behind one lane are done in 1.3 s.
    fn default() -> Self {
        Self {
            memory_kib: MIN_MEMORY_KIB,
            iterations: MIN_ITERATIONS,
            parallelism: 1,
            concurrency: None,
            max_waiting: 64,
            max_wait_ms: 3_000,
        }
    }
}

/// The result of comparing a password with a stored hash.
#[derive(PartialEq, Eq)]
pub enum Verified {
    /// It is the same password.
    Yes,
    /// It is the same password, stored in the form in which it was sent long ago: this hash, of the composed form, is to
    /// replace the stored one.
    Renewed(String),
    /// It is another password.
    No,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "Yes",
            Self::Renewed(_) => "Renewed(..)",
            Self::No => "No",
        })
    }
}

/// Hashes and checks passwords for the whole node: share one behind an `Arc`. At most `concurrency` run at once, on
/// the blocking pool of the calling runtime; the others wait in order, bounded in number and time. A caller that
/// goes away leaves its hash running, and its place taken until that ends.
#[derive(Debug)]
pub struct Passwords {
    hasher: Argon2<'static>,
    queue: HashQueue,
    nobody: Arc<str>,
    count: Arc<RunningCount>,
}

/// The number of hashes that run, for the metrics.
#[derive(Debug, Default)]
struct RunningCount {
    running: AtomicI64,
    peak: AtomicI64,
    gauges: Option<HashGauges>,
}

/// Gauges of the hashes that run.
#[derive(Debug, Clone)]
pub struct HashGauges {
    /// Now.
    pub running: IntGauge,
    /// At most, since the start.
    pub peak: IntGauge,
}

impl RunningCount {
    fn begin(&self) {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(gauges) = &self.gauges {
            gauges.running.inc();
            if self.peak.fetch_max(now, Ordering::SeqCst) < now {
                gauges.peak.set(self.peak.load(Ordering::SeqCst));
            }
        }
    }

    fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        if let Some(gauges) = &self.gauges {
            gauges.running.dec();
        }
    }
}

impl Passwords {
    /// Checks the settings and hashes nothing.
    ///
    /// # Errors
    /// Settings below the least memory and passes, or that argon2 refuses.
    pub fn new(settings: &PasswordSettings) -> Result<Self, PasswordSettingsError> {
        if settings.memory_kib < MIN_MEMORY_KIB || settings.iterations < MIN_ITERATIONS {
            return Err(PasswordSettingsError::TooCheap);
        }
        let (m, t, p) = (settings.memory_kib, settings.iterations, settings.parallelism);
        let params = Params::new(m, t, p, None).map_err(|_| PasswordSettingsError::Refused)?;
        let half = || thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
        let concurrency = settings.concurrency.unwrap_or_else(half).min(Semaphore::MAX_PERMITS);
        if concurrency == 0 {
            return Err(PasswordSettingsError::NoConcurrency);
        }
        // A hash of no known password with the parameters of a real one: checking it costs the same. Salt and
        // output are zeros in base64.
        let nobody = format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", "A".repeat(22), "A".repeat(43));
        Ok(Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            queue: HashQueue::new(
                concurrency,
                settings.max_waiting,
                Duration::from_millis(settings.max_wait_ms),
            ),
            nobody: nobody.into(),
            count: Arc::default(),
        })
    }

    /// The same, telling `gauges` how many hashes run.
    #[must_use]
    pub fn counted_by(self, gauges: HashGauges) -> Self {
        Self { count: Arc::new(RunningCount { gauges: Some(gauges), ..RunningCount::default() }), ..self }
    }

    /// A salted PHC string (`$argon2id$v=19$…`) for the store.
    ///
    /// # Errors
    /// `Busy` when its turn does not come in time, `Failed` when the computation is lost.
    pub async fn hash(&self, password: NewPassword, standing: Standing) -> Result<String, PasswordError> {
        let hasher = self.hasher.clone();
        self.compute(standing, move || hash(&hasher, password.0.expose_secret())).await
    }

    /// Compares `password` with `stored`, at the cost that `stored` names: in its composed form, then as it was
    /// sent, which costs as much again.
    ///
    /// # Errors
    /// As [`Passwords::hash`], and `MalformedHash` for a `stored` that is no argon2 hash.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: &str,
        standing: Standing,
    ) -> Result<Verified, PasswordError> {
        self.check(password, stored.into(), standing).await
    }

    /// Takes as long as [`Passwords::verify`], so that time does not tell which accounts exist.
    ///
    /// # Errors
    /// As [`Passwords::hash`].
    pub async fn verify_unknown_user(
        &self,
        password: SecretString,
        standing: Standing,
    ) -> Result<(), PasswordError> {
        self.check(password, Arc::clone(&self.nobody), standing).await.map(drop)
    }

    async fn check(
        &self,
        password: SecretString,
        stored: Arc<str>,
        standing: Standing,
    ) -> Result<Verified, PasswordError> {
        let hasher = self.hasher.clone();
        self.compute(standing, move || {
            let stored = PasswordHash::new(&stored).map_err(|_| PasswordError::MalformedHash)?;
            let sent = password.expose_secret();
            // More than any password has is not composed: it is wrong in either form.
            let composed = if sent.len() > MAX_BYTES { Cow::Borrowed(sent) } else { composed(sent) };
            if matches(&hasher, &composed, &stored)? {
                return Ok(Verified::Yes);
            }
            if matches!(composed, Cow::Borrowed(_)) || !matches(&hasher, sent, &stored)? {
                return Ok(Verified::No);
            }
            hash(&hasher, &composed).map(Verified::Renewed)
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        standing: Standing,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.queue.permit(standing).await?;
        let count = Arc::clone(&self.count);
        tokio::task::spawn_blocking(move || {
            count.begin();
            let outcome = work();
            count.end();
            drop(permit);
            outcome
        })
        .await
        .unwrap_or(Err(PasswordError::Failed))
    }
}

fn hash(hasher: &Argon2<'static>, password: &str) -> Result<String, PasswordError> {
    let hash = hasher.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

fn matches(hasher: &Argon2<'static>, password: &str, stored: &PasswordHash) -> Result<bool, PasswordError> {
    match hasher.verify_password(password.as_bytes(), stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(argon2::password_hash::Error::OutOfMemory) => Err(PasswordError::Failed),
        Err(_) => Err(PasswordError::MalformedHash),
    }
}

#[cfg(test)]
mod tests;
