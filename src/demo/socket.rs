//! A device's socket: opened with a one-time ticket, read frame by frame.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::domain::cursor::Cursor;
use crate::domain::ids::BusinessId;
use crate::domain::room::RoomId;

use super::client::{Account, Call, CallError};

/// How long opening or writing may take; on one machine it takes a millisecond.
const WITHIN: Duration = Duration::from_secs(10);

/// Why a socket could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("no ticket: {0}")]
    Ticket(#[from] CallError),
    #[error("the socket broke: {0}")]
    Broken(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the hub closed the socket: {code} {reason}")]
    Closed { code: u16, reason: String },
    #[error("the socket took too long")]
    Late,
}

/// What the hub says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// From here on events follow.
    Hello { cursor: Cursor },
    /// Something happened in the room.
    Event { cursor: Cursor, kind: String, data: Value },
    /// The history asked for is gone; go on from here.
    Resync { cursor: Cursor },
    /// The token runs out.
    TokenExpiring,
    /// Something sent was refused.
    Refused { code: String },
    /// Nothing a device acts upon.
    Other,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    rooms: Vec<WireRoom>,
    cursor: Option<Cursor>,
    event: Option<WireEvent>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct WireRoom {
    cursor: Cursor,
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

impl Frame {
    /// Reads one text frame; what is not understood is [`Frame::Refused`], so that it is noticed.
    fn read(text: &str) -> Self {
        let unreadable = || Self::Refused { code: format!("unreadable frame {text}") };
        let Ok(wire) = serde_json::from_str::<Wire>(text) else { return unreadable() };
        match (wire.kind.as_str(), wire.cursor, wire.event) {
            ("event", Some(cursor), Some(WireEvent { kind, data })) => Self::Event { cursor, kind, data },
            ("hello", ..) => {
                wire.rooms.first().map_or_else(unreadable, |room| Self::Hello { cursor: room.cursor })
            }
            ("resync", Some(cursor), _) => Self::Resync { cursor },
            ("token_expiring", ..) => Self::TokenExpiring,
            ("error", ..) => Self::Refused { code: wire.code.unwrap_or_default() },
            ("event" | "resync", ..) => unreadable(),
            _ => Self::Other,
        }
    }
}

/// An open socket to one business's room.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    room: RoomId,
}

impl Socket {
    /// Takes a ticket and opens the business's socket, going on after `cursor` if there is one.
    pub(super) async fn open(
        account: &Account,
        business: BusinessId,
        cursor: Option<Cursor>,
    ) -> Result<Self, SocketError> {
        #[derive(Deserialize)]
        struct Ticket {
            ticket: String,
        }
        let Ticket { ticket } = account.ask(&Call::post("/auth/ticket", json!({}))).await?;
        let mut url = format!("ws://{}/ws/notifications/{business}?ticket={ticket}", account.authority());
        if let Some(cursor) = cursor {
            url.push_str(&format!("&cursor={cursor}"));
        }
        let opened = tokio::time::timeout(WITHIN, connect_async_with_config(url, None, true)).await;
        let (stream, _) = opened.map_err(|_| SocketError::Late)?.map_err(Box::new)?;
        Ok(Self { stream, room: RoomId::Business(business) })
    }

    /// The next frame. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Frame, SocketError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Frame::read(text.as_str())),
                Some(Ok(Message::Close(close))) => {
                    let (code, reason) =
                        close.map_or((1005, String::new()), |c| (c.code.into(), c.reason.to_string()));
                    return Err(SocketError::Closed { code, reason });
                }
                // Pings are answered by the library while it is read.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
                None => return Err(SocketError::Closed { code: 1006, reason: "no close frame".to_owned() }),
            }
        }
    }

    /// Everything up to `cursor` arrived.
    pub(super) async fn ack(&mut self, cursor: Cursor) -> Result<(), SocketError> {
        self.send(&json!({"type": "ack", "room": self.room, "cursor": cursor})).await
    }

    /// Goes on with a newer token.
    pub(super) async fn refresh(&mut self, token: &str) -> Result<(), SocketError> {
        self.send(&json!({"type": "refresh", "token": token})).await
    }

    async fn send(&mut self, frame: &Value) -> Result<(), SocketError> {
        let sent = tokio::time::timeout(WITHIN, self.stream.send(Message::text(frame.to_string()))).await;
        Ok(sent.map_err(|_| SocketError::Late)?.map_err(Box::new)?)
    }

    /// Says good-bye and waits shortly for the answer.
    pub(super) async fn close(mut self) {
        let farewell = async {
            if self.stream.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whether the hub heard it makes no difference any more.
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::event::EventType;
    use crate::domain::ids::EventId;
    use crate::domain::time::Timestamp;
    use crate::protocol::event::{EncodedEvent, EventData, RoomEvent};
    use crate::protocol::frames::{JoinedRoom, ServerFrame};

    fn room() -> RoomId {
        RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil()))
    }

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(1), seq)
    }

    /// The text of a frame the server encoded.
    fn read(frame: &Bytes) -> Frame {
        let text = std::str::from_utf8(frame).unwrap_or_else(|_| {
            let start = frame.iter().position(|byte| *byte == b'{').unwrap();
            std::str::from_utf8(&frame[start..]).unwrap()
        });
        Frame::read(&text[text.find('{').unwrap()..])
    }

    #[test]
    fn the_hubs_own_frames_are_understood() {
        let rooms = [JoinedRoom { room: room(), cursor: at(7), recovered: true }];
        let hello = ServerFrame::Hello { connection: "soc_1", rooms: &rooms, ping_s: 25 };
        assert_eq!(read(&hello.encode()), Frame::Hello { cursor: at(7) });
        let resync = ServerFrame::Resync { room: room(), cursor: at(9) };
        assert_eq!(read(&resync.encode()), Frame::Resync { cursor: at(9) });
        let error = ServerFrame::Error { code: "ack_refused", message: "…", retry_after_ms: None };
        assert_eq!(read(&error.encode()), Frame::Refused { code: "ack_refused".to_owned() });
        assert_eq!(read(&ServerFrame::TokenExpiring { in_s: 60 }.encode()), Frame::TokenExpiring);
        assert_eq!(read(&ServerFrame::Alive {}.encode()), Frame::Other);
        let event = RoomEvent {
            room: room(),
            cursor: at(8),
            id: EventId::from_uuid(uuid::Uuid::nil()),
            kind: EventType::OrderCreated.into(),
            at: Timestamp::from_micros(0),
            data: EventData::stored(r#"{"a":1}"#.to_owned()).unwrap(),
        };
        let expected =
            Frame::Event { cursor: at(8), kind: "order_created".to_owned(), data: json!({"a": 1}) };
        assert_eq!(Frame::read(std::str::from_utf8(&EncodedEvent::new(&event).json()).unwrap()), expected);
    }

    #[test]
    fn a_frame_that_cannot_be_read_is_noticed() {
        for text in ["", "{}", r#"{"type":"event"}"#, r#"{"type":"hello","rooms":[]}"#] {
            assert!(matches!(Frame::read(text), Frame::Refused { .. }), "{text}");
        }
    }
}
