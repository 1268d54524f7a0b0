//! A numbered event, encoded once for everybody who hears it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::cursor::Cursor;
use crate::domain::event::EventType;
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::websocket;

/// An event as it was committed.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    /// The room that hears it.
    pub room: RoomId,
    /// Its place in that room.
    pub cursor: Cursor,
    /// Its id.
    pub id: EventId,
    /// Its kind.
    pub kind: EventType,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as JSON.
    pub data: Box<RawValue>,
}

#[derive(Serialize)]
struct EventBody<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: EventType,
    time: Timestamp,
    data: &'a RawValue,
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
    /// Its kind.
    pub kind: EventType,
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
            event: EventBody { id: event.id, kind: event.kind, time: event.at, data: &event.data },
        };
        let json = serde_json::to_vec(&envelope).expect("an event is made of texts and checked JSON");
        let frame = websocket::text_frame(&json);
        let header_len =
            u8::try_from(frame.len() - json.len()).expect("a frame header has at most ten bytes");
        Self { cursor: event.cursor, kind: event.kind, frame, header_len }
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
