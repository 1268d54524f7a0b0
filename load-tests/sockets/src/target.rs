//! The server under load: how its sockets are opened and how it is published to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::options::Options;
use crate::socket::Greeting;

/// Rooms of one owner at most: as many businesses as a hub remembers for a person.
const ROOMS_EACH: usize = 32;

/// Requests under way at once in the preparation.
const AT_ONCE: usize = 8;

/// How long a publisher that is told to come again goes on doing so.
const PATIENCE: Duration = Duration::from_secs(10);

/// The code of a 503 after which it may have happened: to ask again could publish an event twice.
const PERHAPS_DONE: &str = "\"outcome_unknown\"";

/// Which interface the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Sign-ins, businesses, and notifications in their rooms. The hub has to allow as many sockets a user and address,
    /// and requests without limits.
    Bellhop,
    /// A path to subscribe and a path to POST payloads to.
    Plain,
}

/// A room of the server.
#[derive(Clone, Debug)]
struct Room {
    subscribe: String,
    publish: String,
    /// Of its owner, on a hub.
    token: Option<String>,
}

/// A server that is ready to be loaded.
#[derive(Debug)]
pub(crate) struct Target {
    kind: Kind,
    address: SocketAddr,
    rooms: Vec<Room>,
    http: reqwest::Client,
    put_off: AtomicU64,
}

impl Target {
    /// Signs up, signs in and makes businesses where that is needed.
    ///
    /// # Errors
    /// When the hub refuses any of it.
    pub(crate) async fn prepare(options: &Options) -> Result<Self> {
        let mut target = Self {
            kind: options.kind,
            address: options.address,
            rooms: Vec::new(),
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?,
            put_off: AtomicU64::new(0),
        };
        target.rooms = match options.kind {
            Kind::Bellhop => target.open_rooms(options.rooms).await?,
            Kind::Plain => {
                let (subscribe, publish) = (options.subscribe.clone(), options.publish.clone());
                vec![Room { subscribe, publish, token: None }]
            }
        };
        Ok(target)
    }

    async fn open_rooms(&self, rooms: usize) -> Result<Vec<Room>> {
        let owners: Vec<String> = stream::iter(0..rooms.div_ceil(ROOMS_EACH))
            .map(|number| self.sign_in(number))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let owners = &owners;
        let room = |number: usize| async move {
            let token = &owners[number / ROOMS_EACH];
            let business = json!({
                "name": "Load", "location": {"lat": 0.0, "lng": 0.0}, "zone": "load", "currency": "EUR",
            });
            let business = text(&self.ask("/businesses", &business, Some(token)).await?, "id")?;
            anyhow::Ok(Room {
                subscribe: format!("/ws/notifications/{business}"),
                publish: format!("/businesses/{business}/notifications"),
                token: Some(token.clone()),
            })
        };
        stream::iter(0..rooms).map(room).buffered(AT_ONCE).try_collect().await
    }

    async fn sign_in(&self, number: usize) -> Result<String> {
        let email = format!("load-{}-{number}@example.org", std::process::id());
        let password = "a password for load";
        let account = json!({"email": email, "password": password, "role": "merchant", "name": "Load"});
        // Somebody may have run before with the same process id.
        let _ = self.ask("/auth/signup", &account, None).await;
        let session = self.ask("/auth/login", &json!({"email": email, "password": password}), None).await?;
        text(&session, "access_token")
    }

    async fn ask(&self, path: &str, body: &Value, token: Option<&str>) -> Result<Value> {
        let mut request = self.http.post(format!("http://{}/api/v1{path}", self.address)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let (status, body) = self.send(request).await?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Sends a request and reads the answer to its end. Sends it again when the server says that nothing happened and
    /// when to come again: as a client that is told so does, which shows in the latency.
    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, String)> {
        let began = Instant::now();
        loop {
            let again = request.try_clone().context("a body that can be sent again")?;
            let answer = again.send().await?;
            let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
            let (status, body) = (answer.status(), answer.text().await?);
            match after.map(Duration::from_secs) {
                Some(after)
                    if status == StatusCode::SERVICE_UNAVAILABLE
                        && !body.contains(PERHAPS_DONE)
                        && began.elapsed() + after < PATIENCE =>
                {
                    self.put_off.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(after).await;
                }
                _ => return Ok((status, body)),
            }
        }
    }

    /// How often the server told the publisher to come again.
    pub(crate) fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    /// The request that opens the socket with this number, and whether the server greets.
    pub(crate) fn handshake(&self, number: usize) -> (String, Greeting) {
        let room = &self.rooms[number % self.rooms.len()];
        let authorization = match &room.token {
            Some(token) => format!("Authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n",
            room.subscribe, self.address,
        );
        let greeting = if self.kind == Kind::Bellhop { Greeting::Hello } else { Greeting::None };
        (request, greeting)
    }

    /// How many of `sockets` hear the event with this number, the first being 1.
    pub(crate) fn hearers(&self, number: u64, sockets: usize) -> u64 {
        let room = self.room_of(number);
        (sockets / self.rooms.len() + usize::from(room < sockets % self.rooms.len())) as u64
    }

    fn room_of(&self, number: u64) -> usize {
        ((number - 1) % self.rooms.len() as u64) as usize
    }

    /// Publishes the event with this number, which was due at `due` by a clock that began at `from`, and waits for the
    /// server's answer. Latency counts from when it was due, so that a server that lets the publisher wait or come again
    /// gains nothing.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(crate) async fn publish(
        &self,
        options: &Options,
        number: u64,
        from: Instant,
        due: Instant,
    ) -> Result<()> {
        let room = &self.rooms[self.room_of(number)];
        let mut message = format!("@{number}@{}@", due.saturating_duration_since(from).as_micros());
        let padding = options.bytes_of(number).saturating_sub(message.len());
        message.extend(std::iter::repeat_n('x', padding));
        match self.kind {
            Kind::Bellhop => {
                let body = json!({"type": "LOAD", "title": "t", "message": message});
                self.ask(&room.publish, &body, room.token.as_deref()).await.map(drop)
            }
            Kind::Plain => {
                let url = format!("http://{}{}", self.address, room.publish);
                let (status, _) = self.send(self.http.post(url).body(message)).await.context("publishing")?;
                ensure!(status.is_success(), "publishing: {status}");
                Ok(())
            }
        }
    }

    /// Sockets that the hub has closed so far, by reason; nothing of a plain server.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub(crate) async fn closes(&self) -> Result<BTreeMap<String, u64>> {
        if self.kind == Kind::Plain {
            return Ok(BTreeMap::new());
        }
        let answer = self.http.get(format!("http://{}/metrics", self.address)).send().await?;
        let text = answer.error_for_status()?.text().await?;
        let counts = text.lines().filter_map(|line| line.strip_prefix("websocket_closes_total{reason=\""));
        let counts = counts.filter_map(|line| line.split_once("\"} "));
        Ok(counts.filter_map(|(reason, count)| Some((reason.to_owned(), count.parse().ok()?))).collect())
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}
