//! Input and output of a session's state.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::private::Private;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{DeviceMark, ScopedAck};

/// Work for the actor.
#[derive(Debug, PartialEq)]
pub(super) enum SessionEffect {
    /// Check whether the client may be in the room, then join it.
    Authorize(RoomId, Option<String>),
    /// Join the room; the client may.
    Join(RoomId, Option<String>),
    /// Read the events after the position; the answer goes to `history_read`.
    ReadHistory(RoomId, Cursor),
    Leave(RoomId),
    /// Store how far the device is; at once when it covers orders, whose commit times are given.
    Ack(ScopedAck, Vec<Option<Instant>>),
    /// Store that the device showed or acted on one event; the outcome goes to `mark_stored`.
    Mark(DeviceMark),
    /// Tell the node whether the device can ring, and for which businesses.
    TellRing,
    /// Let the driver get offers, or no more of them; the answer goes to `online_set`.
    SetOnline(UserId, bool),
    /// Tell the node where the driver is, by the device's time.
    Moved(UserId, Location, Option<Timestamp>),
    /// Check a new token; the answer goes to `token_checked`.
    CheckToken(Private<String>),
}

/// Price of an effect that a client asked for, in frames of its user's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Price {
    Free,
    /// One frame; without one left the effect is refused.
    Frame,
    /// One frame; without one left the effect happens all the same, since it frees what others need.
    FrameIfAny,
}

impl SessionEffect {
    /// The price of the effect. An acknowledgement is paid for where it is stored at once.
    pub(super) fn price(&self) -> Price {
        match self {
            Self::Authorize(..)
            | Self::Mark(_)
            | Self::SetOnline(..)
            | Self::Moved(..)
            | Self::CheckToken(_) => Price::Frame,
            Self::Leave(_) => Price::FrameIfAny,
            Self::Join(..) | Self::ReadHistory(..) | Self::Ack(..) | Self::TellRing => Price::Free,
        }
    }
}

/// Result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteProgress {
    /// Bytes went out.
    Moved,
    /// The socket takes nothing now.
    Blocked,
}

/// A client's identity and wish when it opens a socket.
#[derive(Debug, Clone)]
pub struct ConnectParams {
    /// The owner of the token.
    pub principal: Principal,
    /// Expiry of the token.
    pub token_expires_at: Timestamp,
    /// The device named at sign-in.
    pub device: Option<Arc<str>>,
    /// The room of the path; `None` when it is absent or not for this client: the socket is closed with 4004.
    pub room: Option<RoomId>,
    /// The cursor as the client wrote it.
    pub cursor: Option<String>,
}
