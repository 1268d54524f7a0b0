//! Settings of persistence: the bounds of its queues and batches.

use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// `[persistence]`: how many commands share a transaction, and how many may wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PersistenceSettings {
    /// Most commands in one transaction, 1–1024.
    pub batch_commands: usize,
    /// Most bytes of commands in one transaction, 4 KiB–16 MiB.
    pub batch_bytes: usize,
    /// Most commands waiting, from one batch to 65536, new work in three quarters of it; further ones are refused at once.
    pub queue_commands: usize,
    /// Most bytes waiting, from one batch to 256 MiB; further ones are refused at once.
    pub queue_bytes: usize,
    /// New work is refused while it would wait longer, or the oldest command does, milliseconds, 10–60000.
    /// One business may fill half of it.
    pub queue_age_ms: u64,
}

impl Default for PersistenceSettings {
    fn default() -> Self {
        Self {
            batch_commands: 64,
            batch_bytes: 256 * KIB,
            queue_commands: 4096,
            queue_bytes: 8 * MIB,
            queue_age_ms: 250,
        }
    }
}

impl PersistenceSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("persistence");
        checks.range("batch_commands", self.batch_commands, 1..=1024);
        checks.range("batch_bytes", self.batch_bytes, 4 * KIB..=16 * MIB);
        checks.range("queue_commands", self.queue_commands, self.batch_commands..=65_536);
        checks.range("queue_bytes", self.queue_bytes, self.batch_bytes..=256 * MIB);
        checks.range("queue_age_ms", self.queue_age_ms, 10..=60_000);
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_smaller_than_one_batch_is_refused() {
        let settings = PersistenceSettings { queue_commands: 63, queue_bytes: 1, ..Default::default() };
        let keys: Vec<_> = settings.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["persistence.queue_commands", "persistence.queue_bytes"]);
    }
}
