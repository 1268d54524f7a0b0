//! Settings of the sweep.

use std::time::Duration;

/// How often and how far the sweep looks. Fixed: a node's death delays a deadline by three seconds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct SweepSettings {
    /// From the begin of a sweep to the next, unless it takes longer.
    pub(super) every: Duration,
    /// What has been due for less is left to the saga on the node that committed last.
    pub(super) older_than: Duration,
    /// Deadlines read at once.
    pub(super) page: u32,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self { every: Duration::from_secs(1), older_than: Duration::from_millis(500), page: 500 }
    }
}
