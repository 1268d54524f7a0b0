//! Bounds and times of the control room.

use std::time::Duration;

/// Time between two comparisons with the store: what no message has told counts within two seconds, with the answer's time.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long an event that overtook another waits for it before the store is asked.
pub(super) const REORDER_WAIT: Duration = Duration::from_millis(20);

/// Events in one read.
pub(super) const PAGE: u32 = 256;

/// Positions that wait for the follower.
pub(super) const HEARD_EVENTS: usize = 1024;
