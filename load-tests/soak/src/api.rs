//! JSON over HTTP as any client would speak it: tokens, and patience with what may be asked again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The longest wait for one answer; a long poll takes up to half a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);

/// An idle connection is given up after this, sooner than by the hub, which then has none left from us at the end.
const IDLE: Duration = Duration::from_secs(10);

/// How long a request is repeated that could not be served.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A token is exchanged this long before it runs out: earlier than the hub reminds its sockets of it (60 s).
const RENEW_BEFORE: Duration = Duration::from_secs(90);

/// Everybody's password; the hub listens on loopback only.
pub(crate) const PASSWORD: &str = "a password for the soak";

/// A request that came to nothing.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The HTTP status, if there was an answer.
    pub(crate) status: Option<u16>,
    what: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refused {}

/// A request. Every one that is made here may be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    key: Option<String>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, key: None }
    }

    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body), key: None }
    }

    pub(crate) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: Some(body), key: None }
    }

    /// Sends an idempotency key along.
    pub(crate) fn keyed(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }
}

/// The way to one hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    address: SocketAddr,
    again: Arc<AtomicU64>,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().tcp_nodelay(true);
        let http = http.pool_idle_timeout(IDLE).build()?;
        Ok(Self { http, address, again: Arc::default() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that were repeated: 503, 429, broken connections.
    pub(crate) fn asked_again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// A request that is not JSON, or is not to be repeated.
    pub(crate) fn raw(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends the request until it is answered, again after broken connections, 503, 429 and a first request that is
    /// still under way; gives up after thirty seconds.
    pub(crate) async fn call(&self, call: &Call, bearer: Option<&str>) -> Result<Value, Refused> {
        let began = Instant::now();
        loop {
            let (answer, text) = match self.send(call, bearer).await {
                Ok(answered) => answered,
                Err(error) if began.elapsed() > PATIENCE => {
                    return Err(refused(call, None, &error.without_url().to_string()));
                }
                Err(_) => {
                    self.pause().await;
                    continue;
                }
            };
            if answer.is_success() {
                return Ok(serde_json::from_str(&text).unwrap_or(Value::Null));
            }
            let busy = matches!(answer, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                || text.contains("request_in_flight");
            if !busy || began.elapsed() > PATIENCE {
                return Err(refused(call, Some(answer.as_u16()), &text));
            }
            self.pause().await;
        }
    }

    async fn send(&self, call: &Call, bearer: Option<&str>) -> reqwest::Result<(StatusCode, String)> {
        let mut request = self.raw(call.method.clone(), &format!("/api/v1{}", call.path));
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Counts a request that is repeated, and waits as long as everybody does before it.
    pub(crate) async fn pause(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn refused(call: &Call, status: Option<u16>, text: &str) -> Refused {
    let answer = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let text: String = text.chars().take(200).collect();
    Refused { status, what: format!("{} {}: {answer} {text}", call.method, call.path) }
}

/// Tokens as the hub gives them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    expires_in: u64,
    #[serde(skip, default = "Instant::now")]
    since: Instant,
}

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Account {
    api: Api,
    tokens: Mutex<Tokens>,
}

impl Account {
    /// Makes the account and signs in.
    pub(crate) async fn enter(api: &Api, email: &str, role: &str) -> anyhow::Result<Arc<Self>> {
        let account = json!({"email": email, "password": PASSWORD, "role": role, "name": "Soak"});
        api.call(&Call::post("/auth/signup", account), None).await?;
        let tokens = sign_in(api, email).await?;
        Ok(Arc::new(Self { api: api.clone(), tokens: Mutex::new(tokens) }))
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Makes a request in this person's name.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, Refused> {
        let token = self.token().await?;
        self.api.call(call, Some(&token)).await
    }

    /// An access token that holds for a while, exchanged for a new one before it runs out.
    pub(crate) async fn token(&self) -> Result<String, Refused> {
        let mut tokens = self.tokens.lock().await;
        if tokens.since.elapsed() + RENEW_BEFORE > Duration::from_secs(tokens.expires_in) {
            *tokens = refresh(&self.api, &tokens.refresh_token).await?;
        }
        Ok(tokens.access_token.clone())
    }
}

/// Signs in to an account that is there.
pub(crate) async fn sign_in(api: &Api, email: &str) -> Result<Tokens, Refused> {
    tokens(api, Call::post("/auth/login", json!({"email": email, "password": PASSWORD}))).await
}

/// Exchanges a refresh token.
pub(crate) async fn refresh(api: &Api, token: &str) -> Result<Tokens, Refused> {
    tokens(api, Call::post("/auth/refresh", json!({"refresh_token": token}))).await
}

async fn tokens(api: &Api, call: Call) -> Result<Tokens, Refused> {
    let answer = api.call(&call, None).await?;
    serde_json::from_value(answer).map_err(|error| refused(&call, Some(200), &error.to_string()))
}
