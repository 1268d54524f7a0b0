//! The port itself.

use crate::domain::room::RoomId;

use super::message::BusMessage;

/// Whether messages of other nodes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusHealth {
    /// They do, as far as was seen.
    Fine,
    /// They may not: the store is to be asked more often.
    Doubted,
}

/// One node's connection to the bus; [`super`] has its guarantees. Messages arrive through the [`BusInbox`](super::BusInbox) that is made
/// together with it. Dropping the connection ends both.
pub trait Bus: Send + Sync + 'static {
    /// Sends a message to the other nodes.
    fn publish(&self, message: BusMessage);

    /// Lets messages about a room arrive, from some moment soon after this. An event that was committed before that moment is
    /// in the store. A second call changes nothing.
    fn subscribe(&self, room: RoomId);

    /// Lets messages about a room arrive no longer; a few may still come. Without a subscription nothing changes.
    fn unsubscribe(&self, room: RoomId);

    /// Whether messages arrive.
    fn health(&self) -> BusHealth;
}
