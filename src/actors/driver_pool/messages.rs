//! Messages to the pool of a zone.

use std::sync::Arc;

use actix::prelude::Message;

use crate::domain::dispatch::Position;
use crate::domain::ids::UserId;
use crate::storage::PoolDriver;
use crate::storage::commands::{DriverNow, LookDue};

/// See each variant.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum PoolMessage {
    /// Somebody is wanted.
    Look(Box<LookDue>),
    /// A commit of this node wrote the row of a driver.
    Now(Box<DriverNow>),
    /// A driver was asked.
    Asked(UserId),
    /// An offer to a driver is over.
    Unasked(UserId),
    /// A driver is somewhere else.
    Moved(UserId, Position),
    /// Rows of drivers that have changed, by whichever node.
    Changed(Arc<[PoolDriver]>),
    /// Ends the pool.
    Stop,
    /// Panics, for tests.
    #[cfg(test)]
    Break,
}
