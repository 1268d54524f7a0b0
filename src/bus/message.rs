//! The messages between nodes.

use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::{EventData, RoomEvent};

/// A message from one node to others.
#[derive(Clone, Debug)]
pub enum BusMessage {
    /// A committed event with its cursor. It is in the store, where a room that missed it reads it.
    Event(RoomEvent),
    /// An event that is never stored.
    Ephemeral(EphemeralEvent),
    /// An instruction for every node, whichever rooms it is subscribed to.
    Control(ControlMessage),
}

impl BusMessage {
    /// The room whose subscribers it is for; `None` for every node.
    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::Event(event) => Some(event.room),
            Self::Ephemeral(event) => Some(event.room),
            Self::Control(_) => None,
        }
    }
}

/// An event without a place in its room: it is neither stored nor repeated, and a newer one of its type replaces it.
#[derive(Clone, Debug)]
pub struct EphemeralEvent {
    /// The room whose members see it.
    pub room: RoomId,
    /// Its type.
    pub kind: EphemeralType,
    /// The time it is true for.
    pub at: Timestamp,
    /// Its data, as it is sent to clients.
    pub data: EventData,
}

/// The types of ephemeral events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EphemeralType {
    /// An order that nobody has acknowledged rings again.
    OrderRing,
    /// The last position of a driver.
    DriverLocation,
    /// A device can ring, or no longer can.
    Presence,
}

/// An instruction for every node. Each only makes a node look at what the store already says, so that obeying one twice, or
/// one that came late, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// A login session has ended: its tokens are refused and its sockets close (4001).
    SessionEnded(LoginSessionId),
    /// Memberships of a user have changed: cached ones are read again, and sockets leave the rooms that are lost (4003).
    MembershipsChanged(UserId),
}
