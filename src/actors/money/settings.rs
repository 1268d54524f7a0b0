//! Times and bounds of the worker of money.

use std::time::Duration;

use crate::actors::work_list::Bounds;

/// What is due is looked for this often; a commit of this node says it at once.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pause until the provider is asked about an open payment again.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(20);

/// Pause between two counts of messages and dead letters.
pub(super) const COUNT_EVERY: Duration = Duration::from_secs(15);

/// Messages: only the store is asked.
pub(super) const MESSAGES: Bounds = Bounds { at_once: 256, page: 256, largest_page: 4096 };

/// Calls to the provider, each for ten seconds at most.
pub(super) const CALLS: Bounds = Bounds { at_once: 32, page: 64, largest_page: 4096 };
