use std::time::Duration;

use bellhop_client::{ConnectionError, Cursor, WebSocket, dial};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::Response;

use super::app::Endpoint;
use super::person::Person;

/// Nothing on a healthy machine takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket of somebody, as a device would hold it.
pub struct Device {
    pub socket: WebSocket,
    pub hello: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Device {
    /// Opens a socket and waits for its hello.
    pub async fn open(app: &Endpoint, person: &Person, path: &str) -> Self {
        let mut device = Self::dial(app, Some(&person.token), path, &[]).await.expect("the socket opens");
        device.hello = device.next().await;
        assert_eq!(device.hello["type"], "hello", "{}", device.hello);
        device
    }

    /// The socket of a business's room, going on from a cursor if one is given.
    pub async fn of_business(app: &Endpoint, person: &Person, business: &str, cursor: Option<&str>) -> Self {
        let query = cursor.map(|c| format!("?cursor={c}")).unwrap_or_default();
        Self::open(app, person, &format!("/ws/notifications/{business}{query}")).await
    }

    /// The device `name` of a new merchant, the frame of an order it has just heard, who placed it, and where.
    pub async fn with_an_order(app: &Endpoint, name: &str) -> (Self, Value, Person, String) {
        let (mut merchant, customer) =
            (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
        let business = merchant.business(app).await;
        merchant.sign_in(app, Some(name)).await;
        let mut device = Self::of_business(app, &merchant, &business, None).await;
        customer.order(app, &business).await;
        let seen = device.next().await;
        (device, seen, customer, business)
    }

    /// Opens a socket without waiting for anything; an error holds the HTTP answer.
    pub async fn dial(
        app: &Endpoint,
        token: Option<&str>,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        all.extend(headers);
        match dial(app.address, path, &all, None).await {
            Ok(socket) => Ok(Self { socket, hello: Value::Null }),
            Err(ConnectionError::Refused(response)) => Err(response),
            Err(error) => panic!("the socket could not be opened: {error}"),
        }
    }

    /// Opens a socket of a hub that may be down.
    pub async fn try_dial(app: &Endpoint, token: &str, path: &str) -> Option<WebSocket> {
        let bearer = format!("Bearer {token}");
        dial(app.address, path, &[("authorization", &bearer)], None).await.ok()
    }

    async fn message(&mut self) -> Message {
        loop {
            let next =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a frame arrives in time");
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return message,
                Some(Err(error)) => panic!("the socket broke: {error}"),
                None => panic!("the socket ended without a close frame"),
            }
        }
    }

    /// The first JSON frame, or how the socket was closed instead.
    pub async fn first(&mut self) -> Result<Value, Closed> {
        match self.message().await {
            Message::Text(text) => Ok(serde_json::from_str(&text).expect("frames are JSON")),
            Message::Close(Some(frame)) => {
                Err(Closed { code: frame.code.into(), reason: frame.reason.to_string() })
            }
            other => panic!("expected a text frame or a close frame, got {other:?}"),
        }
    }

    /// The next JSON frame.
    pub async fn next(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).expect("frames are JSON"),
            other => panic!("expected a text frame, got {other:?}"),
        }
    }

    /// The next frame that is no ring or other ephemeral event.
    pub async fn next_numbered(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] != "ephemeral" {
                return frame;
            }
        }
    }

    /// The next `count` events; orders that wait may ring between them.
    pub async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let frame = self.next_numbered().await;
            assert_eq!(frame["type"], "event", "{frame}");
            events.push(frame);
        }
        events
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes it");
    }

    /// Everything up to the close frame is passed over.
    pub async fn closed(&mut self) -> Closed {
        loop {
            match self.message().await {
                Message::Close(Some(frame)) => {
                    return Closed { code: frame.code.into(), reason: frame.reason.to_string() };
                }
                Message::Close(None) => panic!("a close frame without a code"),
                _ => {}
            }
        }
    }

    /// Sends a frame and waits for the `alive` that answers the ping behind it: by then the frame was handled.
    pub async fn settle(&mut self) {
        self.send(json!({"type": "ping"})).await;
        loop {
            if self.next().await["type"] == "alive" {
                return;
            }
        }
    }

    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
        // The hub's own close frame, then the end.
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// The sequence number of an event frame, or of any frame with a cursor.
pub fn seq(frame: &Value) -> u64 {
    let cursor = frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {frame}"));
    cursor.parse::<Cursor>().expect("an epoch and a number").seq
}
