//! Messages as bytes: a version, an authentication code over everything else and the channel, the kind, the sender, and the message
//! as JSON. What this release does not know in them is left alone, so that releases can run beside each other.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::ephemeral::EphemeralType;
use crate::domain::event::EventKind;
use crate::domain::ids::{EventId, LoginSessionId, NodeId, UserId};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::protocol::event::{EventData, RoomEvent};

use super::super::keys::{BusKeys, KEY_BYTES};
use super::super::message::{BusMessage, ControlMessage};

/// Largest envelope. An event that is larger reaches other nodes by the rooms' watermark.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// The version of this format.
const VERSION: u8 = 1;

const EVENT: u8 = 1;
const EPHEMERAL: u8 = 2;
const CONTROL: u8 = 3;
const PROBE: u8 = 4;

/// Bytes before the message: version, code, kind, sender.
const HEAD: usize = 1 + KEY_BYTES + 1 + 16;

/// Separates a description from the data of an event, which is JSON already; no JSON of ours contains one.
const SEPARATOR: u8 = b'\n';

/// The contents of an envelope.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A message for other nodes.
    Message(BusMessage),
    /// A probe, by number.
    Probe(u64),
}

/// Why an envelope was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is of a later release, or of a kind, room or type that this one does not know.
    Unknown,
    /// No node of this hub made it for this channel.
    Forged,
}

/// Writes what this node says, and reads what others say.
#[derive(Debug)]
pub(super) struct Envelopes {
    node: NodeId,
    keys: BusKeys,
}

#[derive(Serialize, Deserialize)]
struct EventHead<'a> {
    room: RoomId,
    cursor: Cursor,
    id: EventId,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    time: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct EphemeralHead {
    room: RoomId,
    #[serde(rename = "type")]
    kind: EphemeralType,
    subject: Uuid,
    time: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ControlBody {
    SessionEnded(LoginSessionId),
    MembershipsChanged(UserId),
}

#[derive(Serialize, Deserialize)]
struct ProbeBody {
    number: u64,
}

impl Envelopes {
    pub(super) const fn new(node: NodeId, keys: BusKeys) -> Self {
        Self { node, keys }
    }

    /// The envelope for a channel; none for a message that is too large.
    pub(super) fn write(&self, channel: &str, told: &Told) -> Option<Vec<u8>> {
        let (kind, body) = encode(told);
        if HEAD + body.len() > MAX_BYTES {
            return None;
        }
        let sender = self.node.uuid();
        let code = self.keys.sign(&[channel.as_bytes(), &[0, VERSION, kind], sender.as_bytes(), &body]);
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&code);
        bytes.push(kind);
        bytes.extend_from_slice(sender.as_bytes());
        bytes.extend_from_slice(&body);
        Some(bytes)
    }

    /// The contents of an envelope that came through a channel; none for this node's own messages to others.
    ///
    /// # Errors
    /// See [`Unread`]; nothing in it may be used.
    pub(super) fn read(&self, channel: &str, bytes: &[u8]) -> Result<Option<Told>, Unread> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(_) => return Err(Unread::Unknown),
            None => return Err(Unread::Forged),
        }
        if bytes.len() < HEAD || bytes.len() > MAX_BYTES {
            return Err(Unread::Forged);
        }
        let (code, rest) = bytes[1..].split_at(KEY_BYTES);
        if !self.keys.accept(code, &[channel.as_bytes(), &[0, VERSION], rest]) {
            return Err(Unread::Forged);
        }
        let (kind, sender, body) = (rest[0], &rest[1..17], &rest[17..]);
        if kind != PROBE && sender == self.node.uuid().as_bytes() {
            return Ok(None);
        }
        decode(kind, body).map(Some).ok_or(Unread::Unknown)
    }
}

fn encode(told: &Told) -> (u8, Vec<u8>) {
    match told {
        Told::Message(BusMessage::Event(event)) => {
            let head = EventHead {
                room: event.room,
                cursor: event.cursor,
                id: event.id,
                kind: event.kind.as_str().into(),
                time: event.at,
            };
            (EVENT, with_data(&head, &event.data))
        }
        Told::Message(BusMessage::Ephemeral(event)) => {
            let EphemeralEvent { room, kind, subject, at, .. } = *event;
            (EPHEMERAL, with_data(&EphemeralHead { room, kind, subject, time: at }, &event.data))
        }
        Told::Message(BusMessage::Control(control)) => {
            let body = match *control {
                ControlMessage::SessionEnded(session) => ControlBody::SessionEnded(session),
                ControlMessage::MembershipsChanged(user) => ControlBody::MembershipsChanged(user),
            };
            (CONTROL, json(&body))
        }
        Told::Probe(number) => (PROBE, json(&ProbeBody { number: *number })),
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("messages are texts and numbers")
}

fn with_data(head: &impl Serialize, data: &EventData) -> Vec<u8> {
    let mut bytes = json(head);
    bytes.push(SEPARATOR);
    bytes.extend_from_slice(data.as_str().as_bytes());
    bytes
}

/// The contents; none for what this release does not know.
fn decode(kind: u8, body: &[u8]) -> Option<Told> {
    let message = match kind {
        EVENT => {
            let (head, data) = split(body)?;
            let head: EventHead<'_> = serde_json::from_slice(head).ok()?;
            // Rooms count from 1.
            if head.cursor.seq == 0 {
                return None;
            }
            let EventHead { room, cursor, id, kind, time: at } = head;
            BusMessage::Event(RoomEvent { room, cursor, id, kind: EventKind::from(&*kind), at, data })
        }
        EPHEMERAL => {
            let (head, data) = split(body)?;
            let EphemeralHead { room, kind, subject, time: at } = serde_json::from_slice(head).ok()?;
            BusMessage::Ephemeral(EphemeralEvent { room, kind, subject, at, data })
        }
        CONTROL => BusMessage::Control(match serde_json::from_slice(body).ok()? {
            ControlBody::SessionEnded(session) => ControlMessage::SessionEnded(session),
            ControlBody::MembershipsChanged(user) => ControlMessage::MembershipsChanged(user),
        }),
        PROBE => {
            return serde_json::from_slice::<ProbeBody>(body).ok().map(|probe| Told::Probe(probe.number));
        }
        _ => return None,
    };
    Some(Told::Message(message))
}

fn split(body: &[u8]) -> Option<(&[u8], EventData)> {
    let at = body.iter().position(|byte| *byte == SEPARATOR)?;
    let data = String::from_utf8(body[at + 1..].to_vec()).ok()?;
    Some((&body[..at], EventData::stored(data).ok()?))
}

#[cfg(test)]
mod tests;
