//! The parts that all connections of one worker thread and listener share.

use std::rc::Rc;
use std::time::Duration;

use super::address_places::Place;
use super::refusal::Refusals;

/// The longest stays of a connection in each of its states.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// From the first byte of a head, or from the connection's first moment, to the head's last byte.
    pub(super) head: Duration,
    /// From a head to the last byte of its body. The reader of a body has a deadline of its own, which is earlier.
    pub(super) body: Duration,
    /// Between an answer and the next request.
    pub(super) idle: Duration,
}

/// The parts that all connections of one worker thread and listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) deadlines: Deadlines,
    pub(super) refusals: Refusals,
    /// Whether some addresses take an upgrade.
    pub(super) sockets: bool,
}

/// The right of a connection to be open, given back when it is dropped.
#[derive(Debug)]
pub(super) enum Permission {
    /// To send requests.
    Requests(#[expect(dead_code, reason = "held for its drop")] Place),
    /// To be told that its address has too many.
    Refusal(#[expect(dead_code, reason = "held for its drop")] Rc<()>),
}
