//! The handle for commands, and the task that keeps its connection.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws random numbers")]

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::AsyncPushSender;
use redis::{Cmd, FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::circuit::{Backoff, Unanswered};
use super::link::RedisLink;
use super::settings::RedisSettings;
use super::target::RedisTarget;

/// Commands that wait for answers; further ones fail at once.
const IN_FLIGHT: usize = 4096;

/// Pause between looks at whether an idle connection still works.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time limit of such a look. It is a write: a master that has become a replica refuses it, and the next connection finds the new one.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How long the key that looks write is kept, seconds.
const LOOK_KEPT_S: u64 = 60;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum RedisUnavailable {
    /// There is no connection, or it broke: said at once.
    #[error("Redis is away")]
    Away,
    /// No answer came within the time limit; the command may have been executed.
    #[error("Redis did not answer in time")]
    TooSlow,
    /// Too many commands wait for answers.
    #[error("too many commands wait for Redis")]
    Busy,
    /// Redis answered that it does not execute the command.
    #[error("Redis refused a command: {0}")]
    Refused(RedisError),
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisHealth {
    /// Commands are answered.
    Healthy,
    /// Commands fail at once; the connection is tried again all the time.
    Away,
}

/// The handle to Redis. Cheap to clone, safe to use from any thread. Needs [`RedisClient::keep`] to run.
#[derive(Clone)]
pub struct RedisClient(Arc<Shared>);

struct Shared {
    target: RedisTarget,
    prefix: String,
    answer_within: Duration,
    link: watch::Sender<Option<RedisLink>>,
    unanswered: Mutex<Unanswered>,
    in_flight: Semaphore,
    /// Something speaks against the present connection.
    doubt: Notify,
}

impl RedisClient {
    /// A client of the Redis that the settings name, without a connection yet; none when they name none.
    ///
    /// # Errors
    /// A sentence without secrets, when an address or the file with certificates cannot be used.
    pub fn new(settings: &RedisSettings) -> Result<Option<Self>, String> {
        let target = RedisTarget::new(settings)?;
        Ok(target.map(|target| {
            Self(Arc::new(Shared {
                target,
                prefix: settings.prefix.clone(),
                answer_within: Duration::from_millis(settings.command_timeout_ms),
                link: watch::Sender::new(None),
                unanswered: Mutex::default(),
                in_flight: Semaphore::new(IN_FLIGHT),
                doubt: Notify::new(),
            }))
        }))
    }

    /// The name of a key or channel of this hub: `<prefix>:<name>`.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.0.prefix)
    }

    /// Whether it is a Redis Cluster, where a command's keys have to be of one slot.
    pub fn is_cluster(&self) -> bool {
        self.0.target.is_cluster()
    }

    /// Where it is, for people; no passwords.
    pub fn place(&self) -> String {
        self.0.target.place()
    }

    /// Whether commands are answered, as far as is known now; nobody is asked for this.
    pub fn health(&self) -> RedisHealth {
        if self.link().is_some() { RedisHealth::Healthy } else { RedisHealth::Away }
    }

    /// Waits until commands are answered.
    pub async fn connected(&self) {
        // The sender lives as long as this.
        let _ = self.0.link.subscribe().wait_for(Option::is_some).await;
    }

    /// Executes a command within the time limit of the settings.
    ///
    /// # Errors
    /// See [`RedisUnavailable`].
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisUnavailable> {
        self.run(self.0.answer_within, async |mut link| command.query_async(&mut link).await).await
    }

    /// Executes a script, which is sent in full when Redis does not know it, within a time limit.
    ///
    /// # Errors
    /// See [`RedisUnavailable`].
    pub async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        within: Duration,
    ) -> Result<T, RedisUnavailable> {
        self.run(within, async |mut link| script.invoke_async(&mut link).await).await
    }

    /// Does something on the connection within a time limit.
    ///
    /// # Errors
    /// See [`RedisUnavailable`].
    pub async fn run<T>(
        &self,
        within: Duration,
        act: impl AsyncFnOnce(RedisLink) -> Result<T, RedisError>,
    ) -> Result<T, RedisUnavailable> {
        let link = self.link().ok_or(RedisUnavailable::Away)?;
        let _place = self.0.in_flight.try_acquire().map_err(|_| RedisUnavailable::Busy)?;
        match tokio::time::timeout(within, act(link)).await {
            Ok(Ok(value)) => {
                self.unanswered().answered();
                Ok(value)
            }
            Ok(Err(error)) if is_broken(&error) => {
                self.0.doubt.notify_one();
                Err(RedisUnavailable::Away)
            }
            Ok(Err(error)) => Err(RedisUnavailable::Refused(error)),
            Err(_) => {
                if self.unanswered().failed() {
                    self.give_up();
                }
                Err(RedisUnavailable::TooSlow)
            }
        }
    }

    /// A connection of the caller's own, for subscriptions; what Redis sends by itself goes to `pushes`, which must not wait.
    ///
    /// # Errors
    /// When Redis does not answer within the time limit, or refuses.
    pub async fn connect(&self, pushes: impl AsyncPushSender) -> Result<RedisLink, RedisError> {
        self.0.target.connect(Some(pushes)).await
    }

    /// Asks Redis for a sign of life; the time that it took.
    ///
    /// # Errors
    /// See [`RedisUnavailable`].
    pub async fn look(&self) -> Result<Duration, RedisUnavailable> {
        let begun = Instant::now();
        let mut command = redis::cmd("SET");
        command.arg(self.key("alive")).arg(1).arg("EX").arg(LOOK_KEPT_S);
        self.run(LOOK_WITHIN, async |mut link| command.exec_async(&mut link).await).await?;
        Ok(begun.elapsed())
    }

    /// Keeps a connection until it is stopped: connects, looks at it every second, and connects anew when it no longer works, with
    /// pauses of up to 2 s. The connection lives on the runtime that runs this.
    pub fn keep(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let client = self.clone();
        async move {
            stop.run_until_cancelled(client.keep_connected()).await;
            client.set(None);
        }
    }

    async fn keep_connected(&self) {
        let (mut backoff, mut told) = (Backoff::default(), false);
        loop {
            match self.0.target.connect(None::<fn(redis::PushInfo) -> Result<(), ()>>).await {
                Ok(link) => {
                    self.unanswered().answered();
                    self.set(Some(link));
                    if self.look().await.is_ok() {
                        (backoff, told) = (Backoff::default(), false);
                        tracing::info!(redis = self.place(), "connected to Redis");
                        self.watch().await;
                        tracing::warn!(redis = self.place(), "the connection to Redis is lost");
                    }
                    self.set(None);
                }
                Err(error) if told => tracing::debug!(%error, "Redis is still away"),
                Err(error) => {
                    told = true;
                    let redis = self.place();
                    tracing::warn!(redis, %error, "Redis is away: the hub goes on without it and tries again");
                }
            }
            tokio::time::sleep(backoff.next(random())).await;
        }
    }

    /// Returns when the connection no longer works.
    async fn watch(&self) {
        let mut misses = 0;
        loop {
            let _ = tokio::time::timeout(LOOK_EVERY, self.0.doubt.notified()).await;
            if self.link().is_none() {
                return;
            }
            misses = match self.look().await {
                Ok(_) | Err(RedisUnavailable::Busy) => 0,
                Err(RedisUnavailable::Away) => return,
                Err(RedisUnavailable::TooSlow | RedisUnavailable::Refused(_)) => misses + 1,
            };
            if misses == 2 {
                return;
            }
        }
    }

    fn give_up(&self) {
        self.set(None);
        self.0.doubt.notify_one();
    }

    fn link(&self) -> Option<RedisLink> {
        self.0.link.borrow().clone()
    }

    fn set(&self, link: Option<RedisLink>) {
        self.0.link.send_replace(link);
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, Unanswered> {
        self.0.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the connection no longer works, or Redis does not serve now.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.is_cluster_error()
}

/// A random number for pauses.
pub(crate) fn random() -> u32 {
    u32::try_from(uuid::Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> RedisClient {
        let settings = RedisSettings { url: url.into(), ..RedisSettings::default() };
        RedisClient::new(&settings).expect("the settings work").expect("there is a Redis")
    }

    #[test]
    fn without_an_address_there_is_no_client() {
        assert!(RedisClient::new(&RedisSettings::default()).expect("the defaults work").is_none());
        let missing = RedisSettings { ca_file: "/nowhere/ca.pem".to_owned(), ..RedisSettings::default() };
        let missing = RedisSettings { url: "rediss://a".into(), ..missing };
        assert!(RedisClient::new(&missing).is_err_and(|error| error.contains("redis.ca_file")));
    }

    #[tokio::test]
    async fn while_redis_is_away_commands_fail_at_once_and_stopping_ends_the_attempts() {
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = refusing.local_addr().expect("it is bound");
        drop(refusing);
        let (client, stop) = (client(&format!("redis://:hunter2@{address}")), CancellationToken::new());
        let keeping = tokio::spawn(client.keep(stop.clone()));
        let answer = client.query::<String>(&redis::cmd("PING")).await;
        assert!(matches!(answer, Err(RedisUnavailable::Away)), "{answer:?}");
        assert_eq!((client.health(), client.place()), (RedisHealth::Away, address.to_string()));
        assert_eq!((client.key("x"), client.is_cluster()), ("bellhop:x".to_owned(), false));
        stop.cancel();
        keeping.await.expect("it ends");
    }
}
