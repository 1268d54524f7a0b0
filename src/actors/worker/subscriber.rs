//! The port through which a worker thread reaches those who subscribed to rooms on it: sockets, long polls and event
//! streams.

use std::time::{Duration, Instant};

use crate::actors::room::live_event::LiveEvent;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::close::CloseReason;
use crate::protocol::ephemeral::EncodedEphemeral;

/// The number of a subscriber, unique on its worker thread.
pub(in crate::actors) type SubscriberKey = u64;

/// Fate of an event at one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum Delivered {
    /// It is queued or written.
    Queued,
    /// It is not queued; the subscriber has other work and has to be woken.
    NeedsWake,
    /// It is not for this subscriber, or reaches it with the history.
    Ignored,
}

/// The end of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseNotice {
    /// The reason; its advice is the same on every transport.
    pub reason: CloseReason,
    /// The client should stay away this long.
    pub after: Duration,
}

impl CloseNotice {
    pub(in crate::actors) const fn now(reason: CloseReason) -> Self {
        Self { reason, after: Duration::ZERO }
    }

    pub(in crate::actors) const fn restart(after: Duration) -> Self {
        Self { reason: CloseReason::Restart, after }
    }
}

/// One client on its worker thread. Calls return at once and do not call the worker back.
pub(in crate::actors) trait Subscriber {
    /// The client, by its newest token.
    fn principal(&self) -> Principal;

    /// Gives it an event of a room. While nothing else is queued for the worker, a socket is written to at once, since waking
    /// each session for a write of its own costs more.
    fn deliver(&self, room: RoomId, event: &LiveEvent, more_queued: bool) -> Delivered;

    /// Gives it an ephemeral event of a room, if it takes such; behind what waits for it, the latest of each subject.
    fn deliver_ephemeral(&self, _room: RoomId, _event: &EncodedEphemeral, _more_queued: bool) {}

    /// Tells it the position of a room's last event, so that it reads those it missed.
    fn set_head(&self, room: RoomId, head: Cursor);

    /// Ends it; only the first notice counts.
    fn close(&self, notice: CloseNotice);

    /// Lets it check again whether the client may be in its rooms.
    fn recheck_access(&self);

    /// Called once a second.
    fn tick(&self, _now: Instant) {}

    /// Lets it ask a silent peer whether it is still there.
    fn probe(&self, _now: Instant) {}
}
