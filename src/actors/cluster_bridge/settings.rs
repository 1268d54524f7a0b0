//! Settings of the bridge.

use std::time::Duration;

/// When the bridge is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct BridgeSettings {
    /// Panics after which it stays off.
    pub(super) panics: usize,
    /// The time in which they count.
    pub(super) within: Duration,
}

impl Default for BridgeSettings {
    fn default() -> Self {
        Self { panics: 3, within: Duration::from_secs(60) }
    }
}
