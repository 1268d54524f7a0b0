//! Sockets as a client library holds them, and the frames of the hub as far as they are acted upon.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::api::{Account, Call, PATIENCE};
use crate::books::Cursor;

/// How long opening, writing or closing may take; on one machine it takes a millisecond.
const WITHIN: Duration = Duration::from_secs(10);

/// What a socket reads at once: hundreds of them share one small machine with the hub.
const READ: usize = 4 * 1024;

/// Which room, and in whose name.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// `/ws/…` without a query.
    pub(crate) path: String,
    /// As frames name it.
    pub(crate) room: String,
}

impl Address {
    pub(crate) fn business(id: &str) -> Self {
        Self { path: format!("/ws/notifications/{id}"), room: format!("business:{id}") }
    }

    pub(crate) fn order(id: &str) -> Self {
        Self { path: format!("/ws/orders/{id}"), room: format!("order:{id}") }
    }
}

/// How a socket shows who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Header,
    /// A one-time ticket, as browsers do.
    Ticket,
}

/// What the hub says.
#[derive(Debug)]
pub(crate) enum Frame {
    Hello(Cursor),
    /// An event, and the status in its data if it is about an order.
    Event(Cursor, Option<String>),
    Resync(Cursor),
    TokenExpiring,
    /// Something sent was refused.
    Refused(String),
    Closed(u16),
    /// Nothing that is acted upon.
    Other,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    rooms: Vec<WireRoom>,
    cursor: Option<String>,
    event: Option<WireEvent>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct WireRoom {
    cursor: String,
}

#[derive(Deserialize)]
struct WireEvent {
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    status: Option<String>,
}

impl Frame {
    /// Reads one text frame; what cannot be understood is [`Frame::Refused`], so that it is noticed.
    pub(crate) fn read(text: &str) -> Self {
        let unreadable =
            || Self::Refused(format!("unreadable frame {}", text.chars().take(120).collect::<String>()));
        let Ok(wire) = serde_json::from_str::<Wire>(text) else { return unreadable() };
        let cursor = wire.cursor.as_deref().and_then(Cursor::read);
        match (wire.kind.as_str(), cursor, wire.event) {
            ("event", Some(cursor), Some(event)) => Self::Event(cursor, event.data.status),
            ("resync", Some(cursor), _) => Self::Resync(cursor),
            ("hello", ..) => {
                let follows = wire.rooms.first().and_then(|room| Cursor::read(&room.cursor));
                follows.map_or_else(unreadable, Self::Hello)
            }
            ("token_expiring", ..) => Self::TokenExpiring,
            ("error", ..) => Self::Refused(wire.code.unwrap_or_default()),
            ("event" | "resync", ..) => unreadable(),
            _ => Self::Other,
        }
    }
}

/// Whether the hub said to come again later.
fn is_busy(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(tungstenite::Error::Http(answer)) => matches!(answer.status().as_u16(), 429 | 503),
        _ => false,
    }
}

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    room: String,
}

impl Socket {
    /// Opens a socket, going on after `cursor` if there is one; asks again for thirty seconds while the hub says that it has
    /// too much to do. A small receive buffer makes a reader that stops reading show early.
    pub(crate) async fn open(
        account: &Account,
        address: &Address,
        cursor: Option<&Cursor>,
        credential: Credential,
        receive_buffer: Option<u32>,
    ) -> Result<Self> {
        let began = Instant::now();
        loop {
            match Self::try_open(account, address, cursor, credential, receive_buffer).await {
                Err(error) if is_busy(&error) && began.elapsed() < PATIENCE => account.api().pause().await,
                opened => return opened,
            }
        }
    }

    async fn try_open(
        account: &Account,
        address: &Address,
        cursor: Option<&Cursor>,
        credential: Credential,
        receive_buffer: Option<u32>,
    ) -> Result<Self> {
        let mut query = Vec::new();
        let mut bearer = None;
        match credential {
            Credential::Header => bearer = Some(format!("Bearer {}", account.token().await?)),
            Credential::Ticket => {
                let ticket = account.call(&Call::post("/auth/ticket", json!({}))).await?;
                query.push(format!("ticket={}", ticket["ticket"].as_str().context("a ticket")?));
            }
        }
        query.extend(cursor.map(|cursor| format!("cursor={cursor}")));
        let hub = account.api().address();
        let mut request = format!("ws://{hub}{}?{}", address.path, query.join("&"))
            .into_client_request()
            .context("an address")?;
        if let Some(bearer) = bearer {
            request.headers_mut().insert("authorization", bearer.parse()?);
        }
        let opening = async {
            let socket = TcpSocket::new_v4()?;
            if let Some(bytes) = receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            let stream = socket.connect(hub).await?;
            stream.set_nodelay(true)?;
            let config = WebSocketConfig::default().read_buffer_size(READ);
            anyhow::Ok(tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?.0)
        };
        let stream =
            tokio::time::timeout(WITHIN, opening).await.context("opening a socket took too long")??;
        Ok(Self { stream, room: address.room.clone() })
    }

    /// The next frame. Dropping the future loses nothing. Pings are answered by the library while this is awaited.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Frame::read(text.as_str())),
                Some(Ok(Message::Close(close))) => {
                    return Ok(Frame::Closed(close.map_or(1005, |close| close.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("a socket ended without a close frame"),
            }
        }
    }

    /// Everything up to `cursor` arrived.
    pub(crate) async fn ack(&mut self, cursor: &Cursor) -> Result<()> {
        let room = self.room.clone();
        self.send(&json!({"type": "ack", "room": room, "cursor": cursor.to_string()})).await
    }

    pub(crate) async fn send(&mut self, frame: &Value) -> Result<()> {
        self.send_text(frame.to_string()).await
    }

    /// Sends a text frame whatever is in it.
    pub(crate) async fn send_text(&mut self, text: String) -> Result<()> {
        let sent = tokio::time::timeout(WITHIN, self.stream.send(Message::text(text))).await;
        Ok(sent.context("writing to a socket took too long")??)
    }

    /// Reads to the end, whatever comes; the close code if there was one. Bounded by ten seconds.
    pub(crate) async fn drain(&mut self) -> Result<Option<u16>> {
        let reading = async {
            loop {
                match self.next().await {
                    Ok(Frame::Closed(code)) => return Some(code),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        tokio::time::timeout(WITHIN, reading).await.context("the hub did not close a socket")
    }

    /// Says good-bye and waits for the answer.
    pub(crate) async fn close(mut self) {
        let farewell = async {
            if self.stream.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whether the hub heard it shows in its number of sockets at the end.
        let _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_what_cannot_be_read_is_noticed() {
        let event =
            r#"{"type":"event","room":"r","cursor":"a.2","event":{"id":"e","data":{"status":"placed"}}}"#;
        assert!(matches!(Frame::read(event), Frame::Event(cursor, Some(status))
            if cursor.to_string() == "a.2" && status == "placed"));
        let hello = r#"{"type":"hello","connection":"s","rooms":[{"room":"r","cursor":"a.1"}],"ping_s":25}"#;
        assert!(matches!(Frame::read(hello), Frame::Hello(cursor) if cursor.to_string() == "a.1"));
        assert!(matches!(Frame::read(r#"{"type":"alive"}"#), Frame::Other));
        for text in ["", "{}", r#"{"type":"event"}"#, r#"{"type":"hello","rooms":[]}"#] {
            assert!(matches!(Frame::read(text), Frame::Refused(_)), "{text}");
        }
    }
}
