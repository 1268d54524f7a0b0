//! The JSON frames of the plain socket protocol.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::cursor::Cursor;
use crate::domain::private::Private;
use crate::domain::room::RoomId;

use super::websocket;

/// The longest device id, bytes.
const MAX_DEVICE_ID: usize = 64;

/// Whether a device may call itself so, here and when it signs in: 1 to 64 visible ASCII characters.
pub fn is_device_id(text: &str) -> bool {
    (1..=MAX_DEVICE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a client may say. Anything else is a bad frame.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// Everything in the room up to the cursor arrived.
    Ack {
        /// The room.
        room: RoomId,
        /// The last event that arrived.
        cursor: Cursor,
    },
    /// This one event was shown to a person.
    Shown {
        /// The room.
        room: RoomId,
        /// The event.
        cursor: Cursor,
    },
    /// A person acted on this one event.
    Acted {
        /// The room.
        room: RoomId,
        /// The event.
        cursor: Cursor,
    },
    /// Hear another room too.
    Subscribe {
        /// The room.
        room: RoomId,
        /// Where to go on; without one, at the head. Kept as text: a malformed one is answered by `resync`.
        cursor: Option<String>,
    },
    /// Stop hearing a room.
    Unsubscribe {
        /// The room.
        room: RoomId,
    },
    /// Go on with a newer token.
    Refresh {
        /// The new access token.
        token: Private<String>,
    },
    /// The device is there and says whether it could ring.
    Device {
        /// The device's own id, 1 to 64 characters.
        id: String,
        /// Whether it could make a sound now.
        can_ring: bool,
    },
    /// Are you there? Browsers hide the protocol's own pings.
    Ping {},
}

/// Where the client stands in a room after it joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinedRoom {
    /// The room.
    pub room: RoomId,
    /// The position from which events follow.
    pub cursor: Cursor,
    /// Whether every event since the cursor the client gave will follow.
    pub recovered: bool,
}

/// What the server says besides events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first frame, and the answer to `subscribe`.
    Hello {
        /// The id of the socket or stream.
        connection: &'a str,
        /// The rooms joined.
        rooms: &'a [JoinedRoom],
        /// Seconds between pings.
        ping_s: u64,
    },
    /// The history asked for is gone: list what is `placed`, then go on from the cursor.
    Resync {
        /// The room.
        room: RoomId,
        /// Where to go on.
        cursor: Cursor,
    },
    /// The node goes down: come back after this long.
    Reconnect {
        /// Milliseconds, spread over the clients.
        after_ms: u64,
    },
    /// The client left a room, or was asked to.
    Left {
        /// The room.
        room: RoomId,
    },
    /// The token runs out soon: send `refresh`.
    TokenExpiring {
        /// Seconds left.
        in_s: u64,
    },
    /// The new token holds.
    Refreshed {},
    /// Answer to `ping` and `device`.
    Alive {},
    /// A frame was not understood or not allowed; nothing happened.
    Error {
        /// A stable word.
        code: &'static str,
        /// A sentence that helps.
        message: &'a str,
        /// With `too_many_requests`: milliseconds until it is worth sending again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl ServerFrame<'_> {
    /// The frame as WebSocket bytes.
    pub fn encode(&self) -> Bytes {
        let json = serde_json::to_vec(self).expect("a server frame is made of texts and numbers");
        websocket::text_frame(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_frames_are_read_and_unknown_ones_refused() {
        let room = "business:biz_0190f3c1a2b37d4e8f00112233445566";
        let ack = format!(r#"{{"type":"ack","room":"{room}","cursor":"0000beef.7"}}"#);
        assert!(matches!(serde_json::from_str(&ack), Ok(ClientFrame::Ack { .. })));
        let subscribe = format!(r#"{{"type":"subscribe","room":"{room}"}}"#);
        assert!(matches!(serde_json::from_str(&subscribe), Ok(ClientFrame::Subscribe { cursor: None, .. })));
        assert!(matches!(serde_json::from_str(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping {})));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"type":"dance"}"#,
            r#"{"type":"ping","x":1}"#,
            r#"{"type":"ack","room":"x","cursor":"y"}"#,
        ] {
            assert!(serde_json::from_str::<ClientFrame>(bad).is_err(), "{bad}");
        }
    }
}
