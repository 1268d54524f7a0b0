//! Devices of shops that go on at another hub when theirs ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_client::WebSocket;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::support::{Device, Endpoint, Person};

/// A pause before a hub is asked again that has just begun to end.
const AGAIN: Duration = Duration::from_millis(50);

/// Hubs that take clients, as whoever distributes them would know.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<Mutex<Vec<Endpoint>>>);

impl Open {
    /// One of them; with another number it may be another.
    pub(crate) fn one(&self, n: usize) -> Endpoint {
        let open = self.0.lock().unwrap();
        open[n % open.len()].clone()
    }

    pub(crate) fn without(&self, gone: &Endpoint) {
        self.0.lock().unwrap().retain(|hub| hub.address != gone.address);
    }

    pub(crate) fn with(&self, new: &Endpoint) {
        self.0.lock().unwrap().push(new.clone());
    }
}

/// What a device does when its hub has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    ComesBack,
    StaysAway,
}

/// What a device has been told.
#[derive(Default)]
pub(crate) struct Told {
    /// Orders, each as often as it was heard of.
    pub(crate) orders: Vec<String>,
    /// How often it lost its hub.
    pub(crate) losses: usize,
}

/// A device of a shop: it says that it can ring, acknowledges what it hears, and comes back with its cursor when it was told to.
pub(crate) struct Till {
    number: usize,
    merchant: Person,
    business: String,
    open: Open,
    cursor: Option<String>,
    told: Told,
}

impl Till {
    pub(crate) fn new(number: usize, (merchant, business): (Person, String), open: Open) -> Self {
        Self { number, merchant, business, open, cursor: None, told: Told::default() }
    }

    /// Goes on until `closing`, or until its hub has ended and it stays away.
    pub(crate) async fn run(mut self, afterwards: Afterwards, closing: CancellationToken) -> Told {
        loop {
            let mut socket = self.connect().await;
            let wait = tokio::select! {
                wait = self.listen(&mut socket) => wait,
                () = closing.cancelled() => {
                    Device { socket, hello: Value::Null }.close().await;
                    return self.told;
                }
            };
            self.told.losses += 1;
            // To the end of the close, which the hub waits for.
            while let Some(Ok(_)) = socket.next().await {}
            if afterwards == Afterwards::StaysAway {
                return self.told;
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn connect(&self) -> WebSocket {
        let query = self.cursor.as_ref().map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let path = format!("/ws/notifications/{}{query}", self.business);
        let mut tries = tokio::time::interval(AGAIN);
        loop {
            tries.tick().await;
            let hub = self.open.one(self.number + self.told.losses);
            if let Some(socket) = Device::try_dial(&hub, &self.merchant.token, &path).await {
                return socket;
            }
        }
    }

    /// Listens until the hub ends: how long to wait then.
    async fn listen(&mut self, socket: &mut WebSocket) -> Duration {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
            match frame["type"].as_str() {
                Some("hello") => self.greeted(socket, &frame).await,
                Some("event") => self.heard(socket, &frame).await,
                Some("reconnect") => return Duration::from_millis(frame["after_ms"].as_u64().unwrap()),
                _ => {}
            }
        }
        Duration::ZERO
    }

    async fn greeted(&mut self, socket: &mut WebSocket, hello: &Value) {
        let room = &hello["rooms"][0];
        assert_eq!(room["recovered"], self.cursor.is_some(), "{hello}");
        let id = format!("till-{}", self.number);
        say(socket, json!({"type": "device", "id": id, "can_ring": true})).await;
        // What it acknowledged as its last word may have been lost.
        self.acknowledge(socket, &room["cursor"]).await;
    }

    async fn heard(&mut self, socket: &mut WebSocket, frame: &Value) {
        if frame["event"]["type"] == "order_created" {
            self.told.orders.push(frame["event"]["data"]["order_id"].as_str().unwrap().to_owned());
        }
        self.acknowledge(socket, &frame["cursor"]).await;
    }

    async fn acknowledge(&mut self, socket: &mut WebSocket, cursor: &Value) {
        self.cursor = cursor.as_str().map(str::to_owned);
        say(socket, json!({"type": "ack", "room": format!("business:{}", self.business), "cursor": cursor}))
            .await;
    }
}

/// A hub that ends may not take it any more.
async fn say(socket: &mut WebSocket, frame: Value) {
    let _ = socket.send(Message::text(frame.to_string())).await;
}
