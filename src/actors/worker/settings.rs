//! Bounds of a worker thread that are not configured.

use std::time::Duration;

/// Messages waiting for one worker thread before rooms are told that it is behind.
pub(super) const MAILBOX: usize = 8192;

/// Messages waiting for one worker thread beyond which ephemeral events are dropped.
pub(super) const EPHEMERAL_BELOW: usize = MAILBOX / 4;

/// Places beyond [`MAILBOX`] for messages that are not repeated: the list of sessions and a restart, which are so rare that
/// this many never come together.
pub(super) const RESERVED: usize = 1024;

/// Time between two ticks: heartbeats and expiries are this exact.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Time between two looks at which clients of a node that stops are to be told.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(50);

/// Events queued for subscribers before other tasks on the thread get their turn.
pub(super) const EVENTS_A_TURN: u64 = 1024;

/// Most acknowledgements in one command.
pub(super) const ACKS_A_COMMAND: usize = 256;

/// How long acknowledgements of new orders wait for others to share a command with.
pub(super) const MERGE_WITHIN: Duration = Duration::from_millis(10);
