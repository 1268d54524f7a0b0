//! Times and bounds of the dispatcher of intents.

use std::time::Duration;

use crate::actors::work_list::Bounds;

/// What another node left is looked for this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Intents read and worked on at a time.
pub(super) const INTENTS: Bounds = Bounds { at_once: 64, page: 64, largest_page: 64 };

/// A call that has no answer by then did not work.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(10);

/// An intent that a node has begun is left alone by the others for this long: longer than the call and the write of its result take.
pub(super) const BEGUN_FOR: Duration = Duration::from_secs(20);
