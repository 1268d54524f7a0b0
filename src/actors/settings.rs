//! Settings of the actors: the bounds of every queue, ring and outbox.

use serde::{Deserialize, Serialize};

use crate::settings::{Checks, Problem};

pub use super::room::settings::RoomSettings;
pub use super::session::settings::SessionSettings;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Settings of all actors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Group commit.
    pub persistence: PersistenceSettings,
    /// Bounds of the events that rooms keep in memory.
    pub rooms: RoomSettings,
    /// Bounds and clocks of one socket.
    pub sessions: SessionSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

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

/// `[retention]`: how long what nobody needs for daily work is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Events of rooms, days, 1–3650; a device that was away for longer gets `resync`.
    pub room_events_days: u32,
    /// Notifications and their read marks, days, 1–3650.
    pub notifications_days: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { room_events_days: 30, notifications_days: 90 }
    }
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

impl Settings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.persistence.problems();
        problems.extend(self.rooms.problems());
        problems.extend(self.sessions.problems());
        problems.extend(self.retention.problems());
        problems
    }
}

impl PersistenceSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut checks = Checks::of("persistence");
        checks.range("batch_commands", self.batch_commands, 1..=1024);
        checks.range("batch_bytes", self.batch_bytes, 4 * KIB..=16 * MIB);
        checks.range("queue_commands", self.queue_commands, self.batch_commands..=65_536);
        checks.range("queue_bytes", self.queue_bytes, self.batch_bytes..=256 * MIB);
        checks.range("queue_age_ms", self.queue_age_ms, 10..=60_000);
        checks.found()
    }
}

impl RetentionSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut checks = Checks::of("retention");
        checks.range("room_events_days", self.room_events_days, 1..=3650);
        checks.range("notifications_days", self.notifications_days, 1..=3650);
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(Settings::default().problems(), []);
    }

    #[test]
    fn a_queue_smaller_than_one_batch_is_refused() {
        let settings = PersistenceSettings { queue_commands: 63, queue_bytes: 1, ..Default::default() };
        let keys: Vec<_> = settings.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["persistence.queue_commands", "persistence.queue_bytes"]);
    }
}
