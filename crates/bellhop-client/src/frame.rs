//! Frames of the hub, as far as clients act upon them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::cursor::Cursor;

/// Characters of an unreadable frame that are kept.
const QUOTED: usize = 120;

/// The type of frames of ephemeral events.
const EPHEMERAL: &str = "ephemeral";

/// A frame from the hub; `D` is the data of an event as far as the client reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<D = Value> {
    /// Events of the room follow from here.
    Hello {
        /// The position they follow.
        cursor: Cursor,
    },
    /// An event of the room.
    Event {
        /// Its position.
        cursor: Cursor,
        /// Its type, like `order_created`.
        kind: String,
        /// Its data.
        data: D,
    },
    /// An event that is neither stored nor repeated, like `order_ring`.
    Ephemeral {
        /// Its type.
        kind: String,
        /// Its data, as far as it has the shape of the events that the client reads.
        data: Option<D>,
    },
    /// The history that was asked for is gone; events follow from here.
    Resync {
        /// The position they follow.
        cursor: Cursor,
    },
    /// The access token expires within a minute.
    TokenExpiring,
    /// A frame of the client was refused, or a frame of the hub could not be read.
    Refused {
        /// The error's word, or the beginning of the frame.
        code: String,
    },
    /// Nothing that a client acts upon.
    Other,
}

#[derive(Deserialize)]
#[serde(bound = "D: DeserializeOwned")]
struct WireFrame<D> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    rooms: Vec<WireRoom>,
    cursor: Option<Cursor>,
    event: Option<WireEvent<D>>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct WireRoom {
    cursor: Cursor,
}

#[derive(Deserialize)]
#[serde(bound = "D: DeserializeOwned")]
struct WireEvent<D> {
    #[serde(default, rename = "type")]
    kind: String,
    data: D,
}

impl<D: DeserializeOwned> Frame<D> {
    /// Reads one text frame. One that cannot be read is [`Frame::Refused`], so that it is noticed.
    pub fn read(text: &str) -> Self {
        let frame = serde_json::from_str(text).ok().and_then(Self::from_wire);
        frame.or_else(|| Self::of_another_shape(text)).unwrap_or_else(|| {
            let start: String = text.chars().take(QUOTED).collect();
            Self::Refused { code: format!("unreadable frame {start}") }
        })
    }

    /// An ephemeral event whose data is not that of events.
    fn of_another_shape(text: &str) -> Option<Self> {
        let wire: WireFrame<IgnoredAny> = serde_json::from_str(text).ok()?;
        let event = wire.event.filter(|_| wire.kind == EPHEMERAL)?;
        Some(Self::Ephemeral { kind: event.kind, data: None })
    }

    fn from_wire(wire: WireFrame<D>) -> Option<Self> {
        Some(match (wire.kind.as_str(), wire.cursor, wire.event) {
            ("event", Some(cursor), Some(WireEvent { kind, data })) => Self::Event { cursor, kind, data },
            (EPHEMERAL, _, Some(WireEvent { kind, data })) => Self::Ephemeral { kind, data: Some(data) },
            ("hello", ..) => Self::Hello { cursor: wire.rooms.first()?.cursor },
            ("resync", Some(cursor), _) => Self::Resync { cursor },
            ("token_expiring", ..) => Self::TokenExpiring,
            ("error", ..) => Self::Refused { code: wire.code.unwrap_or_default() },
            ("event" | "resync" | EPHEMERAL, ..) => return None,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct OrderData {
        status: Option<String>,
    }

    #[test]
    fn frames_are_read_as_far_as_they_are_acted_upon() {
        let event =
            r#"{"type":"event","room":"r","cursor":"a.2","event":{"id":"e","data":{"status":"placed"}}}"#;
        let Frame::Event { cursor, data, .. } = Frame::<OrderData>::read(event) else { panic!("{event}") };
        assert_eq!((cursor.to_string().as_str(), data.status.as_deref()), ("0000000a.2", Some("placed")));
        let hello = r#"{"type":"hello","rooms":[{"room":"r","cursor":"a.1"}],"ping_s":25}"#;
        assert_eq!(Frame::<Value>::read(hello), Frame::Hello { cursor: "a.1".parse().unwrap() });
        assert_eq!(Frame::<Value>::read(r#"{"type":"alive"}"#), Frame::Other);
    }

    #[test]
    fn an_ephemeral_event_is_read_whatever_its_data_is() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Strict {
            order_id: String,
        }
        let of = |data: &str| {
            let event = format!(r#"{{"type":"x","time":"2026-01-01T00:00:00Z","data":{data}}}"#);
            Frame::<Strict>::read(&format!(r#"{{"type":"ephemeral","room":"r","event":{event}}}"#))
        };
        let read = |data| Frame::Ephemeral { kind: "x".to_owned(), data };
        assert_eq!(of(r#"{"order_id":"o"}"#), read(Some(Strict { order_id: "o".to_owned() })));
        assert_eq!(of(r#"{"reachable":true}"#), read(None));
    }

    #[test]
    fn a_frame_that_cannot_be_read_is_noticed() {
        for text in
            ["", "{}", r#"{"type":"event"}"#, r#"{"type":"ephemeral"}"#, r#"{"type":"hello","rooms":[]}"#]
        {
            assert!(matches!(Frame::<Value>::read(text), Frame::Refused { .. }), "{text}");
        }
    }
}
