//! The end of an access token on a transport that stays open. Pure.

use std::time::{Duration, Instant};

use crate::domain::time::Timestamp;

/// Time after the end of a token in which a new one is still taken; then the transport is closed.
pub(super) const EXPIRY_GRACE: Duration = Duration::from_secs(30);

/// A wall-clock time as an instant, with the two clocks read together.
pub(super) fn instant_of(at: Timestamp, wall: Timestamp, now: Instant) -> Instant {
    if at >= wall { now + at.since(wall) } else { now.checked_sub(wall.since(at)).unwrap_or(now) }
}
