//! A command in a queue, as far as the queue looks at it.

use std::time::Instant;

pub(super) use crate::storage::commands::WritePriority as Class;

/// Work that shares a key keeps its order and may fill no more than half a batch while other keys wait.
pub(super) type FairnessKey = u64;

/// A command that waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) payload: T,
    pub(super) class: Class,
    pub(super) key: FairnessKey,
    pub(super) bytes: usize,
    pub(super) queued_at: Instant,
    pub(super) deadline: Instant,
}
