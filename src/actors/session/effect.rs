//! What goes into a session's mind and what comes out of it.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::private::Private;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{DeviceMark, ReceivedAck};

/// What the shell has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ask whether the client may be in the room, then join it.
    Authorize(RoomId, Option<String>),
    /// Join the room; the client may.
    Join(RoomId, Option<String>),
    /// Read what comes after the position; the answer goes to `history_read`.
    ReadHistory(RoomId, Cursor),
    /// Leave the room.
    Leave(RoomId),
    /// Store how far the device is; at once when it covers orders, whose commit times are given.
    Ack(ReceivedAck, Vec<Option<Instant>>),
    /// Store what the device did with one event.
    Mark(DeviceMark),
    /// Check a new token; the answer goes to `token_checked`.
    CheckToken(Private<String>),
}

/// What an effect that a client asked for costs of its user's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Price {
    /// Nothing.
    Free,
    /// One frame; without one left it does not happen.
    Frame,
    /// One frame; without one left it happens all the same, since it frees what others need.
    FrameIfAny,
}

impl Effect {
    /// What it costs. An acknowledgement is paid for where it is stored at once.
    pub(super) fn price(&self) -> Price {
        match self {
            Self::Authorize(..) | Self::Mark(_) | Self::CheckToken(_) => Price::Frame,
            Self::Leave(_) => Price::FrameIfAny,
            Self::Join(..) | Self::ReadHistory(..) | Self::Ack(..) => Price::Free,
        }
    }
}

/// What became of an event or a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It waits in the outbox to be written.
    Queued,
    /// The session has something else to do: wake it.
    Wake,
    /// Nothing to do.
    Nothing,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Bytes went out.
    Moved,
    /// The socket takes nothing now.
    Blocked,
}

/// Who opened the socket, and with what.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who.
    pub principal: Principal,
    /// When the token runs out.
    pub token_expires_at: Timestamp,
    /// The device named at sign-in.
    pub device: Option<Arc<str>>,
    /// The room of the path; `None` when it is absent or not for this client: the socket is closed with 4004.
    pub room: Option<RoomId>,
    /// The cursor as the client wrote it.
    pub cursor: Option<String>,
}
