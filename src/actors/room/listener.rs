//! The port through which a room reaches those who subscribed to it.

use crate::actors::mailbox::SendError;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::live_event::LiveEvent;

/// One listener of a room, on a thread of its own: it passes what it is given on to its subscribers.
///
/// Calls never wait. After a refused event the room calls [`Listener::set_head`] until it is taken, so the listener learns
/// that it missed something.
pub trait Listener: Send + Sync + 'static {
    /// A number that is unique on this node and stays the same.
    fn id(&self) -> usize;

    /// Whether the listener still runs; one that does not is removed from its rooms.
    fn is_open(&self) -> bool;

    /// Queues an event. Events of one room arrive in the order of these calls.
    ///
    /// # Errors
    /// The queue is full or the listener has stopped; the event is dropped then.
    fn deliver(&self, room: RoomId, event: LiveEvent) -> Result<(), SendError>;

    /// Queues an ephemeral event; one that finds little room is dropped.
    fn deliver_ephemeral(&self, room: RoomId, event: EncodedEphemeral);

    /// Queues the position of a room's last event.
    ///
    /// # Errors
    /// The queue is full or the listener has stopped.
    fn set_head(&self, room: RoomId, head: Cursor) -> Result<(), SendError>;
}
