//! A batch that is being taken from a queue.

use super::limits::QueueLimits;
use super::queued_command::Waiting;

/// The commands taken so far, within the bounds of one batch.
pub(super) struct BatchBuilder<T> {
    limits: QueueLimits,
    bytes: usize,
    pub(super) commands: Vec<Waiting<T>>,
}

impl<T> BatchBuilder<T> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { limits, bytes: 0, commands: Vec::new() }
    }

    /// Adds a command, or gives back one that does not fit any more. The first one always fits.
    pub(super) fn add(&mut self, waiting: Waiting<T>) -> Option<Waiting<T>> {
        let full = self.commands.len() >= self.limits.batch_commands
            || (!self.commands.is_empty() && self.bytes + waiting.bytes > self.limits.batch_bytes);
        if full {
            return Some(waiting);
        }
        self.bytes += waiting.bytes;
        self.commands.push(waiting);
        None
    }
}
