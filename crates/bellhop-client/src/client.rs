//! JSON over HTTP: tokens, time limits, and repetitions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::Answer;
use crate::error::CallError;
use crate::request::{Body, Repeat, Request};

/// The problem code of a request that may have been done: repeated, it could be done twice.
const OUTCOME_UNKNOWN: &str = "outcome_unknown";

/// The problem code while the first request with the same key is under way.
const IN_FLIGHT: &str = "request_in_flight";

/// Time limits of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientSettings {
    /// Longest wait for one answer.
    pub answer_timeout: Duration,
    /// Time in which a request that could not be served is repeated.
    pub patience: Duration,
    /// The pause before the first repetition; each further one doubles it.
    pub first_pause: Duration,
    /// Longest pause before a repetition, whatever `Retry-After` says.
    pub longest_pause: Duration,
    /// A connection that carries no request is closed after this.
    pub idle_timeout: Duration,
}

impl Default for ClientSettings {
    /// For one machine: 12 s an answer, 30 s of patience, pauses of 50 ms to 2 s.
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(12),
            patience: Duration::from_secs(30),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(90),
        }
    }
}

/// A client of the hub at one address. Clones share connections and counts.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    settings: ClientSettings,
    repeated: Arc<AtomicU64>,
}

/// The outcome of one try.
enum Try {
    Done(Result<Answer, CallError>),
    Again { cause: String, after: Option<Duration> },
}

impl Client {
    /// A client of the hub at `address`. It uses no proxy.
    ///
    /// # Errors
    /// When the system gives no HTTP client.
    pub fn new(address: SocketAddr, settings: ClientSettings) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(settings.answer_timeout);
        let http = http.pool_idle_timeout(settings.idle_timeout).build()?;
        Ok(Self { http, address, settings, repeated: Arc::default() })
    }

    /// The address of the hub.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of repeated requests and upgrades, of all clones.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// A request of a whole path that is not repeated and whose answer is the caller's to read.
    pub fn raw(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// The JSON that answers `request`; null where the body is no JSON. Repeats the request as its [`Repeat`] allows.
    ///
    /// # Errors
    /// When the hub refuses it, or does not serve it within the client's patience.
    pub async fn call(&self, request: &Request, bearer: Option<&str>) -> Result<Value, CallError> {
        let answer = self.send(request, bearer).await?;
        Ok(serde_json::from_str(&answer.text).unwrap_or(Value::Null))
    }

    /// The answer to `request`, whose status is a success. Repeats the request as its [`Repeat`] allows.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn send(&self, request: &Request, bearer: Option<&str>) -> Result<Answer, CallError> {
        let began = Instant::now();
        let mut pause = self.settings.first_pause;
        loop {
            let (cause, wait) = match self.try_once(request, bearer).await {
                Try::Done(result) => return result,
                Try::Again { cause, after } => (cause, after.unwrap_or(pause)),
            };
            let wait = wait.min(self.settings.longest_pause);
            if began.elapsed() + wait > self.settings.patience {
                return Err(CallError::Unanswered { request: request.name(), cause });
            }
            self.wait_before_repeating(wait).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    /// Whether a try that began at `began` may be followed by another after a pause; counts it and pauses if so.
    pub(crate) async fn may_repeat(&self, began: Instant) -> bool {
        let patient = began.elapsed() < self.settings.patience;
        if patient {
            self.wait_before_repeating(self.settings.longest_pause).await;
        }
        patient
    }

    async fn wait_before_repeating(&self, wait: Duration) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(wait).await;
    }

    async fn try_once(&self, request: &Request, bearer: Option<&str>) -> Try {
        let read = async { Answer::read(self.builder(request, bearer).send().await?).await };
        let answer = match read.await {
            Ok(answer) => answer,
            Err(error) => {
                let cause = error.without_url().to_string();
                return match request.repeat {
                    Repeat::Freely => Try::Again { cause, after: None },
                    Repeat::IfNotDone => {
                        Try::Done(Err(CallError::Unanswered { request: request.name(), cause }))
                    }
                };
            }
        };
        if answer.status.is_success() {
            return Try::Done(Ok(answer));
        }
        let (problem, after) = (answer.problem(), answer.retry_after());
        let unavailable = answer.status == StatusCode::SERVICE_UNAVAILABLE;
        let again = match request.repeat {
            Repeat::Freely => {
                unavailable || answer.status == StatusCode::TOO_MANY_REQUESTS || problem.code == IN_FLIGHT
            }
            Repeat::IfNotDone => unavailable && after.is_some() && problem.code != OUTCOME_UNKNOWN,
        };
        let status = answer.status.as_u16();
        if again {
            return Try::Again { cause: format!("{status} {}", problem.code), after };
        }
        let (code, detail) = (problem.code, problem.detail);
        Try::Done(Err(CallError::Refused { request: request.name(), status, code, detail }))
    }

    fn builder(&self, request: &Request, bearer: Option<&str>) -> RequestBuilder {
        let mut builder = self.raw(request.method.clone(), &request.path);
        if let Some(token) = bearer {
            builder = builder.bearer_auth(token);
        }
        if let Some(key) = &request.key {
            builder = builder.header("Idempotency-Key", key);
        }
        match &request.body {
            Body::None => builder,
            Body::Json(body) => builder.json(body),
            Body::Text(text) => builder.body(text.clone()),
        }
    }
}

/// The answer to `request` as a value of type `T`.
pub(crate) fn typed<T: DeserializeOwned>(request: &Request, body: Value) -> Result<T, CallError> {
    serde_json::from_value(body).map_err(|error| CallError::Unanswered {
        request: request.name(),
        cause: format!("unexpected answer: {error}"),
    })
}
