//! Messages that a worker thread receives.

use actix::prelude::Message;
use tokio::sync::oneshot;

use crate::actors::room::live_event::LiveEvent;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::ids::UserId;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::drain::DrainPlan;

/// See each variant.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum WorkerMessage {
    /// An event of a room.
    Event(RoomId, LiveEvent),
    /// An ephemeral event of a room.
    Ephemeral(RoomId, EncodedEphemeral),
    /// The position of a room's last event.
    Head(RoomId, Cursor),
    /// Access has changed. Carries nothing: the worker compares its number of changes before every message.
    AccessChanged,
    /// A user has no place for one more socket: are the user's silent sockets still there?
    Probe(UserId),
    /// Asks for whoever has an open subscriber.
    ListConnected(oneshot::Sender<Vec<Principal>>),
    /// Asks how many subscribers a room has here.
    CountMembers(RoomId, oneshot::Sender<usize>),
    /// The node goes down: tell clients to come back, flush, and answer when both have begun.
    Restart(DrainPlan, oneshot::Sender<()>),
}
