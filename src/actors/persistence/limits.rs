//! The bounds of one lane.

use std::time::Duration;

use super::settings::PersistenceSettings;

/// Batches that alerts which wait would fill alone. At a quarter of each batch they are all written within sixteen.
const ALERT_BATCHES: usize = 4;

/// The bounds of one lane's queue and of what it takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) batch_commands: usize,
    pub(super) batch_bytes: usize,
    pub(super) queue_commands: usize,
    pub(super) queue_bytes: usize,
    /// How long a command may have waited, or would wait, before new work is refused.
    pub(super) max_wait: Duration,
}

impl QueueLimits {
    /// The bounds that an operator has set.
    pub(super) fn of(settings: &PersistenceSettings) -> Self {
        Self {
            batch_commands: settings.batch_commands,
            batch_bytes: settings.batch_bytes,
            queue_commands: settings.queue_commands,
            queue_bytes: settings.queue_bytes,
            max_wait: Duration::from_millis(settings.queue_age_ms),
        }
    }

    /// New work takes three quarters of the queue at most, and leaves the rest to what finishes work.
    pub(super) fn new_work_commands(&self) -> usize {
        self.queue_commands - self.queue_commands / 4
    }

    pub(super) fn new_work_bytes(&self) -> usize {
        self.queue_bytes - self.queue_bytes / 4
    }

    /// Alerts that wait, in places of their own: few, since each one left out stays due in the store.
    pub(super) fn alerts(&self) -> usize {
        self.batch_commands * ALERT_BATCHES
    }

    /// Bytes of alerts that wait, beside those of all others.
    pub(super) fn alert_bytes(&self) -> usize {
        self.queue_bytes / 4
    }
}
