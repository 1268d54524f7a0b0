//! A numbered event, encoded once for everybody who hears it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::domain::cursor::Cursor;
use crate::domain::event::{EventKind, EventPayload};
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::websocket;

/// JSON that was written out once and is copied as it is. It holds sound JSON, checked when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventData(Box<str>);

/// A text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON")]
pub struct NotJson;

impl EventData {
    /// The data of an event whose row cannot be read any more.
    pub fn empty() -> Self {
        Self("{}".into())
    }

    /// Takes a text that was stored.
    ///
    /// # Errors
    /// [`NotJson`] for a text that is none.
    pub fn stored(text: String) -> Result<Self, NotJson> {
        serde_json::from_str::<IgnoredAny>(&text).map_err(|_| NotJson)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&EventPayload> for EventData {
    fn from(payload: &EventPayload) -> Self {
        Self(payload.to_json().into())
    }
}

/// An event as it was committed.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    /// The room that hears it.
    pub room: RoomId,
    /// Its place in that room.
    pub cursor: Cursor,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub data: EventData,
}

/// All of an event but its data, which is written already.
#[derive(Serialize)]
struct EventBody<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    time: Timestamp,
}

#[derive(Serialize)]
struct EventEnvelope<'a> {
    #[serde(rename = "type")]
    frame: &'static str,
    room: RoomId,
    cursor: Cursor,
    event: EventBody<'a>,
}

/// The bytes of an event: one allocation, shared by every socket, long poll and stream that sends it.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    /// Its place in its room.
    pub cursor: Cursor,
    /// Its id, which says whether another event at the same place is the same.
    pub id: EventId,
    /// Its type.
    pub kind: EventKind,
    frame: Bytes,
    header_len: u8,
}

impl EncodedEvent {
    /// Encodes `event`.
    pub fn new(event: &RoomEvent) -> Self {
        let envelope = EventEnvelope {
            frame: "event",
            room: event.room,
            cursor: event.cursor,
            event: EventBody { id: event.id, kind: event.kind.as_str(), time: event.at },
        };
        let mut json = serde_json::to_vec(&envelope).expect("an event is made of texts");
        // The data goes in at the end of the inner object.
        debug_assert!(json.ends_with(b"}}"));
        json.truncate(json.len() - 2);
        json.reserve_exact(event.data.0.len() + 10);
        json.extend_from_slice(b",\"data\":");
        json.extend_from_slice(event.data.0.as_bytes());
        json.extend_from_slice(b"}}");
        let frame = websocket::text_frame(&json);
        let header_len =
            u8::try_from(frame.len() - json.len()).expect("a frame header has at most ten bytes");
        Self { cursor: event.cursor, id: event.id, kind: event.kind.clone(), frame, header_len }
    }

    /// The WebSocket frame, header included.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The JSON alone, as long poll and event streams send it.
    pub fn json(&self) -> Bytes {
        self.frame.slice(usize::from(self.header_len)..)
    }
}
