//! A program that talks to the hub as anybody would: JSON over HTTP, tokens, patience.

use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The longest wait for one answer; the hub itself gives up earlier.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// How long a request is repeated that could not be served.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest pause between two tries, whatever the hub advises: a demo is short.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A token is renewed this long before it runs out.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The hub said no.
    #[error("{what}: {status} {code}: {detail}")]
    Refused {
        /// Method and path.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The problem's stable word.
        code: String,
        /// The problem's sentence.
        detail: String,
    },
    /// No answer, or one that could not be read, within all patience.
    #[error("{what}: {cause}")]
    Unanswered {
        /// Method and path.
        what: String,
        /// What the last try came to.
        cause: String,
    },
}

impl CallError {
    /// The HTTP status, if the hub answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unanswered { .. } => None,
        }
    }
}

/// A request. Every one that is made here may be repeated.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    key: Option<String>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, key: None }
    }

    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body), key: None }
    }

    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: Some(body), key: None }
    }

    /// Sends an idempotency key along.
    pub(super) fn keyed(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

/// What one try came to.
enum Tried {
    Answered(Value),
    Final(CallError),
    Again { cause: String, after: Option<Duration> },
}

/// The way to one hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    authority: String,
}

impl Client {
    /// A client of the hub at `authority`, that is host and port.
    pub(super) fn new(authority: String) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { http, authority })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends the request until it is answered, again after time-outs, broken connections, 503 and a first request
    /// that is still under way; gives up after thirty seconds.
    pub(super) async fn call(&self, call: &Call, bearer: Option<&str>) -> Result<Value, CallError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match self.try_once(call, bearer).await {
                Tried::Answered(body) => return Ok(body),
                Tried::Final(error) => return Err(error),
                Tried::Again { cause, .. } if began.elapsed() >= PATIENCE => {
                    return Err(CallError::Unanswered { what: call.what(), cause });
                }
                Tried::Again { after, .. } => {
                    tokio::time::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn try_once(&self, call: &Call, bearer: Option<&str>) -> Tried {
        let url = format!("http://{}/api/v1{}", self.authority, call.path);
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Tried::Again { cause: error.without_url().to_string(), after: None },
        };
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let after = after.map(Duration::from_secs);
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => return Tried::Again { cause: error.without_url().to_string(), after: None },
        };
        if status.is_success() {
            return Tried::Answered(serde_json::from_slice(&body).unwrap_or(Value::Null));
        }
        let unreadable = || Problem { code: String::new(), detail: "no problem body".to_owned() };
        let Problem { code, detail } = serde_json::from_slice(&body).unwrap_or_else(|_| unreadable());
        let busy = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        if busy || code == "request_in_flight" {
            return Tried::Again { cause: format!("{} {code}", status.as_u16()), after };
        }
        Tried::Final(CallError::Refused { what: call.what(), status: status.as_u16(), code, detail })
    }
}

/// Tokens as the hub gives them.
#[derive(Debug, Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
    #[serde(skip, default = "Instant::now")]
    since: Instant,
}

/// Somebody who is signed in.
#[derive(Debug)]
pub(super) struct Account {
    client: Client,
    /// What they sign in with.
    pub(super) email: String,
    /// The name others see.
    pub(super) name: String,
    tokens: Mutex<Tokens>,
}

/// Who somebody is before signing in.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) password: &'static str,
    pub(super) role: &'static str,
    pub(super) name: String,
    /// The device to sign in on, if it is to have an id of its own.
    pub(super) device: Option<String>,
}

impl Account {
    /// Makes the account unless it is there, and signs in.
    pub(super) async fn enter(client: &Client, person: Person) -> Result<Self, CallError> {
        let Person { email, password, role, name, device } = person;
        let account = json!({"email": email, "password": password, "role": role, "name": name});
        match client.call(&Call::post("/auth/signup", account), None).await {
            Ok(_) => {}
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        let mut login = json!({"email": email, "password": password});
        if let Some(id) = device {
            login["device"] = json!({"id": id, "name": name, "platform": "demo"});
        }
        let call = Call::post("/auth/login", login);
        let tokens = read(&call, client.call(&call, None).await?)?;
        Ok(Self { client: client.clone(), email, name, tokens: Mutex::new(tokens) })
    }

    /// The hub's host and port.
    pub(super) fn authority(&self) -> &str {
        self.client.authority()
    }

    /// Makes a request in this person's name.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, CallError> {
        let token = self.token().await?;
        self.client.call(call, Some(&token)).await
    }

    /// Makes a request and reads its answer.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(&self, call: &Call) -> Result<T, CallError> {
        read(call, self.call(call).await?)
    }

    /// An access token that holds for a while, exchanged for a new one before it runs out.
    pub(super) async fn token(&self) -> Result<String, CallError> {
        let mut tokens = self.tokens.lock().await;
        let lifetime = Duration::from_secs(tokens.expires_in);
        if tokens.since.elapsed() + RENEW_BEFORE > lifetime {
            let call = Call::post("/auth/refresh", json!({"refresh_token": tokens.refresh_token}));
            *tokens = read(&call, self.client.call(&call, None).await?)?;
        }
        Ok(tokens.access_token.clone())
    }
}

fn read<T: serde::de::DeserializeOwned>(call: &Call, body: Value) -> Result<T, CallError> {
    serde_json::from_value(body).map_err(|error| CallError::Unanswered {
        what: call.what(),
        cause: format!("unexpected answer: {error}"),
    })
}
