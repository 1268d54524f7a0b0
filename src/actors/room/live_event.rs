//! Events of a room as its listeners get them.

use std::time::Instant;

use crate::domain::cursor::Cursor;
use crate::protocol::event::EncodedEvent;

/// An event on its way from a commit to the clients. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct LiveEvent {
    /// The event's bytes, encoded once for everybody.
    pub event: EncodedEvent,
    /// The time of the commit by this node's clock, for the delivery metrics; `None` for events read from the store.
    pub committed_at: Option<Instant>,
}

impl LiveEvent {
    /// An event read from the store.
    pub(in crate::actors) const fn stored(event: EncodedEvent) -> Self {
        Self { event, committed_at: None }
    }
}

/// The part of a room's history that follows a position.
#[derive(Debug)]
pub enum History {
    /// The next events, in order without holes; none when the position is the head.
    Events(Vec<LiveEvent>),
    /// The room's memory does not go back that far; the store may. The head is given.
    InStore(Cursor),
    /// The position is of another epoch, ahead of the head, or no longer kept: go on from this one.
    Gone(Cursor),
}
