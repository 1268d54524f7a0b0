//! The server under load: how its sockets are opened and how it is published to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellhop_client::lean::{Greeting, handshake};
use bellhop_client::{
    Account, Client, ClientSettings, NewAccount, Repeat, Request, Room as RoomName, metrics,
};
use clap::ValueEnum;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::options::Options;

/// Rooms of one owner at most: as many businesses as a hub remembers for a person.
const ROOMS_EACH: usize = 32;

/// Requests under way at once in the preparation.
const AT_ONCE: usize = 8;

/// Time in which a publisher that is told to come again does so.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interface of the server.
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
    client: Client,
}

impl Target {
    /// Signs up, signs in and makes businesses where that is needed.
    ///
    /// # Errors
    /// When the hub refuses any of it.
    pub(crate) async fn prepare(options: &Options) -> Result<Self> {
        let settings = ClientSettings {
            answer_timeout: Duration::from_secs(30),
            patience: PATIENCE,
            longest_pause: PATIENCE,
            ..ClientSettings::default()
        };
        let client = Client::new(options.address, settings)?;
        let mut target = Self { kind: options.kind, address: options.address, rooms: Vec::new(), client };
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
            let made = self.post("/businesses", business, token).await?;
            let business = made["id"].as_str().with_context(|| format!("no id in {made}"))?;
            anyhow::Ok(Room {
                subscribe: RoomName::business(business).path().to_owned(),
                publish: format!("/businesses/{business}/notifications"),
                token: Some(token.clone()),
            })
        };
        stream::iter(0..rooms).map(room).buffered(AT_ONCE).try_collect().await
    }

    async fn sign_in(&self, number: usize) -> Result<String> {
        let account = NewAccount {
            email: format!("load-{}-{number}@example.org", std::process::id()),
            password: "a password for load",
            role: "merchant",
            name: "Load".to_owned(),
            device: None,
        };
        Ok(Account::open(&self.client, account).await?.token().await?)
    }

    async fn post(&self, path: &str, body: Value, token: &str) -> Result<Value> {
        let request = Request::post(path, body).repeat(Repeat::IfNotDone);
        Ok(self.client.call(&request, Some(token)).await?)
    }

    /// Number of times the server told the publisher to come again.
    pub(crate) fn put_off(&self) -> u64 {
        self.client.repeated()
    }

    /// The request that opens the socket with this number, and whether the server greets.
    pub(crate) fn handshake(&self, number: usize) -> (String, Greeting) {
        let room = &self.rooms[number % self.rooms.len()];
        let token = room.token.as_deref().unwrap_or_default();
        let request = handshake(self.address, &room.subscribe, token);
        let greeting = if self.kind == Kind::Bellhop { Greeting::Hello } else { Greeting::None };
        (request, greeting)
    }

    /// Number of `sockets` that hear the event with this number, the first being 1.
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
        let request = match self.kind {
            Kind::Bellhop => {
                Request::post(&room.publish, json!({"type": "LOAD", "title": "t", "message": message}))
            }
            Kind::Plain => Request::post_text(&room.publish, message),
        };
        let request = request.repeat(Repeat::IfNotDone);
        self.client.send(&request, room.token.as_deref()).await.context("publishing")?;
        Ok(())
    }

    /// Sockets that the hub has closed so far, by reason; nothing of a plain server.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub(crate) async fn closes(&self) -> Result<BTreeMap<String, u64>> {
        if self.kind == Kind::Plain {
            return Ok(BTreeMap::new());
        }
        let answer = self.client.raw(Method::GET, "/metrics").send().await?;
        Ok(metrics::closes(&answer.error_for_status()?.text().await?))
    }
}
