//! The port itself.

use crate::domain::room::RoomId;

use super::message::BusMessage;

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
}
