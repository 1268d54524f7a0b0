//! The JSON frames of the socket protocol, other than events.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::cursor::Cursor;
use crate::domain::private::Private;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::websocket;

/// The longest device id, in bytes.
const MAX_DEVICE_ID: usize = 64;

/// Whether `text` is a valid device id, in a `device` frame or at sign-in: 1 to 64 visible ASCII characters.
pub fn is_device_id(text: &str) -> bool {
    (1..=MAX_DEVICE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A frame from a client. Every other text is a bad frame.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// Every event of the room up to the cursor has arrived.
    Ack {
        room: RoomId,
        /// The position of the last event that arrived.
        cursor: Cursor,
    },
    /// One event was shown to a person.
    Shown {
        room: RoomId,
        /// The position of the event.
        cursor: Cursor,
    },
    /// A person acted on one event.
    Acted {
        room: RoomId,
        /// The position of the event.
        cursor: Cursor,
    },
    /// Subscribe to one more room.
    Subscribe {
        room: RoomId,
        /// The position to resume from, the head if absent. It stays a text, because a malformed one is answered by `resync`.
        cursor: Option<String>,
    },
    /// Unsubscribe from a room.
    Unsubscribe { room: RoomId },
    /// Continue with a newer token of the same user.
    Refresh {
        /// An access token.
        token: Private<String>,
    },
    /// The device names itself and says whether it can ring.
    Device {
        /// Its id, see [`is_device_id`].
        id: String,
        /// Whether it could make a sound now. Not used yet.
        can_ring: bool,
    },
    /// A driver wants offers, or no more of them.
    Status {
        /// Whether they want offers.
        online: bool,
    },
    /// A driver is somewhere.
    Location {
        /// Degrees north, −90 to 90.
        lat: f64,
        /// Degrees east, −180 to 180.
        lng: f64,
        /// When, by the device's clock; absent: now.
        at: Option<Timestamp>,
    },
    /// Ask for `alive`. Browsers hide the ping frames of WebSocket from a page.
    Ping {},
}

/// The position of a client in a room it has just joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinedRoom {
    pub room: RoomId,
    /// The position after which events follow.
    pub cursor: Cursor,
    /// Whether every event since the client's own cursor will follow.
    pub recovered: bool,
}

/// A frame from the server, other than an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first frame, and the answer to `subscribe`.
    Hello {
        /// The id of the socket or stream.
        connection: &'a str,
        /// The rooms joined.
        rooms: &'a [JoinedRoom],
        /// Seconds between pings of the server.
        ping_s: u64,
        /// The hub's time.
        now: Timestamp,
    },
    /// The client's cursor cannot be resumed: it has to list the `placed` orders, then continue from the new cursor.
    Resync {
        room: RoomId,
        /// The position after which events follow.
        cursor: Cursor,
    },
    /// The node is stopping: connect again after a pause.
    Reconnect {
        /// Milliseconds to wait, different for each client.
        after_ms: u64,
    },
    /// The subscription of a room ended.
    Left { room: RoomId },
    /// The token expires soon: send `refresh`.
    TokenExpiring {
        /// Seconds until it expires.
        in_s: u64,
    },
    /// The new token is accepted; answer to `refresh`.
    Refreshed {},
    /// The answer to `ping` and `device`.
    Alive {
        /// The hub's time.
        now: Timestamp,
    },
    /// Whether the driver gets offers; the answer to `status`.
    Status {
        /// Whether they do.
        online: bool,
    },
    /// A frame was not understood or not allowed. It had no effect.
    Error {
        /// A stable word that programs act on.
        code: &'static str,
        /// A sentence for developers.
        message: &'a str,
        /// With `too_many_requests`: milliseconds to wait before the frame is sent again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl ServerFrame<'_> {
    /// The frame as the bytes of one WebSocket text frame.
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
