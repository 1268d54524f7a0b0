//! Messages that a room receives.

use std::sync::Arc;

use actix::prelude::Message;
use tokio::sync::oneshot;

use crate::domain::cursor::{Cursor, Head};
use crate::protocol::ephemeral::EncodedEphemeral;

use super::listener::Listener;
use super::live_event::{History, LiveEvent};

/// A committed event of this room.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Publish(pub(super) LiveEvent);

/// An ephemeral event of this room.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PublishEphemeral(pub(super) EncodedEphemeral);

/// The store's head of this room.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Watermark {
    pub(super) head: Head,
    /// Messages of other nodes were lost: what the room lacks will not come by itself.
    pub(super) lost: bool,
}

/// Adds a listener; the answer is the position after which every event reaches it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Join {
    pub(super) listener: Arc<dyn Listener>,
    pub(super) reply: oneshot::Sender<Cursor>,
}

/// Asks for the position once the room has reached `to`, or the store does not have it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Reach {
    pub(super) to: Cursor,
    pub(super) reply: oneshot::Sender<Cursor>,
}

/// Removes the listener with this id.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave {
    pub(super) listener: usize,
}

/// Asks for at most `limit` events after a position.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReadHistory {
    pub(super) after: Cursor,
    pub(super) limit: usize,
    pub(super) reply: oneshot::Sender<History>,
}
