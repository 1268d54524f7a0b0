//! A command in a queue, as far as the queue looks at it.

use std::time::Instant;

/// The order in which commands leave the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Finishes what was begun: moves of orders, ends of login sessions. Goes first.
    Finishing,
    /// Acknowledgements of devices. Goes next.
    Acknowledging,
    /// Begins something, and is refused when it would wait too long.
    NewWork,
}

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
