//! Times and bounds of the dispatcher of intents.

use std::time::Duration;

/// What another node left is looked for this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Intents worked on at a time.
pub(super) const AT_ONCE: usize = 64;

/// Intents read at a time.
pub(super) const PAGE: u32 = 64;

/// A call that has no answer by then did not work.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(10);
