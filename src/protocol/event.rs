//! Numbered events, and their encoding, which is made once for all subscribers.

use bytes::Bytes;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::domain::control::ControlChange;
use crate::domain::cursor::Cursor;
use crate::domain::ephemeral::EphemeralPayload;
use crate::domain::event::{EventKind, EventPayload};
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::websocket;

/// The data of an event as JSON text. The text is checked when it is made and copied unchanged after that.
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

    /// The data of a stored event.
    ///
    /// # Errors
    /// [`NotJson`] for a text that is not JSON.
    pub fn stored(text: String) -> Result<Self, NotJson> {
        serde_json::from_str::<IgnoredAny>(&text).map_err(|_| NotJson)?;
        Ok(Self(text.into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&EventPayload> for EventData {
    fn from(payload: &EventPayload) -> Self {
        Self(payload.to_json().into())
    }
}

impl From<&EphemeralPayload> for EventData {
    fn from(payload: &EphemeralPayload) -> Self {
        Self(payload.to_json().into())
    }
}

impl From<ControlChange> for EventData {
    fn from(change: ControlChange) -> Self {
        Self(change.to_json().into())
    }
}

/// A numbered event: committed, with its position in its room.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    /// The room whose history it belongs to.
    pub room: RoomId,
    /// Its position in that room.
    pub cursor: Cursor,
    /// The id, which no event of another room shares.
    pub id: EventId,
    /// The type, known to this release or not.
    pub kind: EventKind,
    /// The time at which it happened.
    pub at: Timestamp,
    /// The details, which depend on the type.
    pub data: EventData,
}

impl RoomEvent {
    /// What nodes are told by it; `None` for an event of a room of clients, and for one that this release does not know.
    pub fn control_change(&self) -> Option<ControlChange> {
        let is_control = self.room == RoomId::Control;
        is_control.then(|| ControlChange::read(self.kind.as_str(), self.data.as_str())).flatten()
    }
}

/// An event without its data, which is JSON already.
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

/// `envelope`, whose last field is an object, with `data` at the end of that object: as a WebSocket text frame, and the length of
/// the frame's header.
pub(super) fn frame_with_data(envelope: &impl Serialize, data: &EventData) -> (Bytes, u8) {
    let mut json = serde_json::to_vec(envelope).expect("an event is made of texts");
    debug_assert!(json.ends_with(b"}}"));
    json.truncate(json.len() - 2);
    json.reserve_exact(data.0.len() + 10);
    json.extend_from_slice(b",\"data\":");
    json.extend_from_slice(data.0.as_bytes());
    json.extend_from_slice(b"}}");
    let frame = websocket::text_frame(&json);
    let header_len = u8::try_from(frame.len() - json.len()).expect("a frame header has at most ten bytes");
    (frame, header_len)
}

/// The bytes of an event: one allocation, shared by every connection, long poll and stream that sends it.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    /// Its position in its room.
    pub cursor: Cursor,
    /// The id. Another event at the same position and with another id belongs to another history.
    pub id: EventId,
    /// The type, known to this release or not.
    pub kind: EventKind,
    frame: Bytes,
    header_len: u8,
}

impl EncodedEvent {
    /// Encodes `event` as JSON inside a WebSocket text frame.
    pub fn new(event: &RoomEvent) -> Self {
        let envelope = EventEnvelope {
            frame: "event",
            room: event.room,
            cursor: event.cursor,
            event: EventBody { id: event.id, kind: event.kind.as_str(), time: event.at },
        };
        let (frame, header_len) = frame_with_data(&envelope, &event.data);
        Self { cursor: event.cursor, id: event.id, kind: event.kind.clone(), frame, header_len }
    }

    /// The whole WebSocket frame.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The JSON without the frame header, for long polls and event streams. Shares the allocation.
    pub fn json(&self) -> Bytes {
        self.frame.slice(usize::from(self.header_len)..)
    }
}
