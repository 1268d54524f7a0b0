//! Messages to the actor of an order's saga.

use std::time::{Duration, Instant};

use actix::prelude::Message;

/// The deadline that a commit has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub(super) struct Schedule {
    /// The write of the saga's row that set it.
    pub(super) attempt: i64,
    /// When anything is to happen next, on this machine's monotonic clock; `None` when nothing is.
    pub(super) due: Option<Instant>,
}

/// The store's clock was moved ahead.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ClockMoved {
    pub(super) by: Duration,
}
