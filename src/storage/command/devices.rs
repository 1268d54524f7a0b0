//! What devices tell of events they received.

use crate::domain::cursor::Cursor;
use crate::domain::ids::UserId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

/// A device has everything of a room up to the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAck {
    /// The room.
    pub room: RoomId,
    /// The device's own id, else its session's.
    pub device: String,
    /// Who is signed in on it.
    pub user: UserId,
    /// The last event received.
    pub cursor: Cursor,
    /// When the hub heard of it.
    pub at: Timestamp,
}

/// From where on a device can have what it acknowledges, by the socket it acknowledges on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// It began behind this number: nothing before was ever sent to it there.
    After(u64),
    /// It went on behind this number by a cursor of its own: what an earlier socket sent it and it had no time to
    /// acknowledge counts as well.
    Resumed(u64),
}

/// An acknowledgement as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedAck {
    /// What it says.
    pub ack: DeviceAck,
    /// What it can be about.
    pub reach: Reach,
}

/// What a device did with one event.
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
    /// Who is signed in on it.
    pub user: UserId,
    /// The event.
    pub cursor: Cursor,
    /// Which of the two.
    pub kind: MarkKind,
    /// When the hub heard of it.
    pub at: Timestamp,
}
