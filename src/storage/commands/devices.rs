//! Acknowledgements and marks of devices.

use crate::domain::access::Role;
use crate::domain::cursor::Cursor;
use crate::domain::ids::UserId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

/// The word of a device that it has everything of a room up to the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAck {
    /// The room.
    pub room: RoomId,
    /// The device's own id, else its session's.
    pub device: String,
    /// User of the device.
    pub user: UserId,
    /// The last event received.
    pub cursor: Cursor,
    /// Time at which the hub received it.
    pub at: Timestamp,
}

/// The first event a device can acknowledge, by the socket it acknowledges on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AckScope {
    /// The socket began after this number; no earlier event was sent on it.
    After(u64),
    /// The socket resumed after this number, so acknowledgements may also cover events an earlier socket sent.
    Resumed(u64),
}

/// An acknowledgement with the range it may cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedAck {
    /// The device, the room and the cursor.
    pub ack: DeviceAck,
    /// The events it may cover.
    pub reach: AckScope,
    /// The role of the device's user: an order has not arrived at the business with an operator who watches its room.
    pub role: Role,
}

/// A step of a device with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A person could see it.
    Shown,
    /// A person did something about it.
    Acted,
}

impl MarkKind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Acted => "acted",
        }
    }
}

/// One event was shown or acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMark {
    /// The room.
    pub room: RoomId,
    /// The device's own id, else its session's.
    pub device: String,
    /// User of the device.
    pub user: UserId,
    /// The user's role: what an operator acts upon is not known to the business.
    pub role: Role,
    /// The event.
    pub cursor: Cursor,
    /// Which of the two.
    pub kind: MarkKind,
    /// Time at which the hub received it.
    pub at: Timestamp,
}
