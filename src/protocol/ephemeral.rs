//! Ephemeral events, and their encoding, which is made once for all subscribers.

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::ephemeral::{EphemeralPayload, EphemeralType};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::event::{EventData, frame_with_data};

/// An event without a place in its room: it is neither stored nor repeated, and a newer one of its type and subject replaces it.
#[derive(Clone, Debug)]
pub struct EphemeralEvent {
    /// The room whose members see it.
    pub room: RoomId,
    /// The type of its data.
    pub kind: EphemeralType,
    /// What it is about, like an order.
    pub subject: Uuid,
    /// The time it is true for.
    pub at: Timestamp,
    /// Its data, as it is sent to clients.
    pub data: EventData,
}

impl EphemeralEvent {
    /// An event for one room.
    pub fn new(room: RoomId, at: Timestamp, payload: &EphemeralPayload) -> Self {
        let data = EventData::from(payload);
        Self { room, kind: payload.kind(), subject: payload.subject(), at, data }
    }
}

/// An ephemeral event without its data, which is JSON already.
#[derive(Serialize)]
struct EphemeralBody {
    #[serde(rename = "type")]
    kind: EphemeralType,
    time: Timestamp,
}

#[derive(Serialize)]
struct EphemeralEnvelope {
    #[serde(rename = "type")]
    frame: &'static str,
    room: RoomId,
    event: EphemeralBody,
}

/// The bytes of an ephemeral event: one allocation, shared by every connection and stream that sends it.
#[derive(Clone, Debug)]
pub struct EncodedEphemeral {
    /// The type of its data.
    pub kind: EphemeralType,
    /// What it is about.
    pub subject: Uuid,
    frame: Bytes,
    header_len: u8,
}

impl EncodedEphemeral {
    /// Encodes `event` as JSON inside a WebSocket text frame.
    pub fn new(event: &EphemeralEvent) -> Self {
        let envelope = EphemeralEnvelope {
            frame: "ephemeral",
            room: event.room,
            event: EphemeralBody { kind: event.kind, time: event.at },
        };
        let (frame, header_len) = frame_with_data(&envelope, &event.data);
        Self { kind: event.kind, subject: event.subject, frame, header_len }
    }

    /// The whole WebSocket frame.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The JSON without the frame header, for event streams. Shares the allocation.
    pub fn json(&self) -> Bytes {
        self.frame.slice(usize::from(self.header_len)..)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::ephemeral::Presence;
    use crate::domain::ids::BusinessId;

    #[test]
    fn an_ephemeral_frame_has_no_cursor_and_no_id() {
        let business_id = BusinessId::from_uuid(Uuid::nil());
        let payload = EphemeralPayload::Presence(Presence { business_id, reachable: true, devices: 2 });
        let event = EphemeralEvent::new(RoomId::Business(business_id), Timestamp::default(), &payload);
        let json: Value = serde_json::from_slice(&EncodedEphemeral::new(&event).json()).expect("it is JSON");
        let expected = serde_json::json!({
            "type": "ephemeral", "room": format!("business:{business_id}"),
            "event": {"type": "presence", "time": "1970-01-01T00:00:00.000000Z",
                "data": {"business_id": business_id, "reachable": true, "devices": 2}},
        });
        assert_eq!(json, expected);
    }
}
