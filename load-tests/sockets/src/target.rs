//! The server under load: how its sockets are opened and how it is published to.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::Options;
use crate::socket::Greeting;

/// Which interface the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Sign-ins, a business, and notifications in its room. The hub has to allow as many sockets a user and address,
    /// and requests without limits.
    Bellhop,
    /// A path to subscribe and a path to POST payloads to.
    Plain,
}

/// A server that is ready to be loaded.
#[derive(Debug)]
pub(crate) struct Target {
    kind: Kind,
    address: SocketAddr,
    subscribe: String,
    publish: String,
    token: Option<String>,
    bytes: usize,
    http: reqwest::Client,
}

/// Publishes numbered events one after the other.
pub(crate) struct Publisher<'a> {
    target: &'a Target,
    from: Instant,
    number: u64,
}

impl Target {
    /// Signs up, signs in and makes a business where that is needed.
    pub(crate) async fn prepare(options: &Options) -> Result<Self> {
        let mut target = Self {
            kind: options.kind,
            address: options.address,
            subscribe: options.subscribe.clone(),
            publish: options.publish.clone(),
            token: None,
            bytes: options.bytes,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        if target.kind == Kind::Bellhop {
            let email = format!("load-{}@example.org", std::process::id());
            let password = "a password for load";
            let account = json!({"email": email, "password": password, "role": "merchant", "name": "Load"});
            // Somebody may have run before with the same process id.
            let _ = target.ask("/auth/signup", &account).await;
            let session = target.ask("/auth/login", &json!({"email": email, "password": password})).await?;
            target.token = Some(text(&session, "access_token")?);
            let business = json!({
                "name": "Load", "location": {"lat": 0.0, "lng": 0.0}, "zone": "load", "currency": "EUR",
            });
            let business = text(&target.ask("/businesses", &business).await?, "id")?;
            target.subscribe = format!("/ws/notifications/{business}");
            target.publish = format!("/businesses/{business}/notifications");
        }
        Ok(target)
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value> {
        let mut request = self.http.post(format!("http://{}/api/v1{path}", self.address)).json(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// The request that opens a socket, and whether the server greets.
    pub(crate) fn handshake(&self) -> (String, Greeting) {
        let authorization = match &self.token {
            Some(token) => format!("Authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n",
            self.subscribe, self.address,
        );
        let greeting = if self.kind == Kind::Bellhop { Greeting::Hello } else { Greeting::None };
        (request, greeting)
    }

    /// A publisher whose clock began at `from`.
    pub(crate) fn publisher(&self, from: Instant) -> Publisher<'_> {
        Publisher { target: self, from, number: 0 }
    }
}

impl Publisher<'_> {
    /// Publishes the next event and waits for the server's answer.
    pub(crate) async fn publish(&mut self) -> Result<()> {
        self.number += 1;
        let mut message = format!("@{}@{}@", self.number, self.from.elapsed().as_micros());
        let padding = self.target.bytes.saturating_sub(message.len());
        message.extend(std::iter::repeat_n('x', padding));
        match self.target.kind {
            Kind::Bellhop => {
                let body = json!({"type": "LOAD", "title": "t", "message": message});
                self.target.ask(&self.target.publish, &body).await.map(drop)
            }
            Kind::Plain => {
                let url = format!("http://{}{}", self.target.address, self.target.publish);
                let answer = self.target.http.post(url).body(message).send().await.context("publishing")?;
                ensure!(answer.status().is_success(), "publishing: {}", answer.status());
                // Read to its end, so that the connection is used again.
                answer.bytes().await.map(drop).map_err(Into::into)
            }
        }
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}
