//! What a room is told and what it tells the workers.

use actix::prelude::Message;
use tokio::sync::oneshot;

use crate::actors::session::Postbox;
use crate::domain::cursor::{Cursor, Head};

use super::{History, Published};

/// An event of this room was committed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Publish(pub(super) Published);

/// The store's head of this room.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Watermark(pub(super) Head);

/// A worker has members here from now on; the answer is the position after which every event will reach it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Join {
    pub(super) worker: Postbox,
    pub(super) reply: oneshot::Sender<Cursor>,
}

/// A worker has no members here any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave {
    pub(super) worker: usize,
}

/// Somebody wants what came after a position.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask {
    pub(super) after: Cursor,
    pub(super) limit: usize,
    pub(super) reply: oneshot::Sender<History>,
}
