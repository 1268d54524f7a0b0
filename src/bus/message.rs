//! The messages between nodes.

use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::protocol::event::RoomEvent;

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

/// An instruction for every node. The bus carries them; no node sends or obeys one: what they said are events of the room of the nodes,
/// which are not lost with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// A login session has ended.
    SessionEnded(LoginSessionId),
    /// Memberships of a user have changed.
    MembershipsChanged(UserId),
}
