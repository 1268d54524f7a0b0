//! Settings of rooms.

use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem};

const MIB: usize = 1024 * 1024;

/// `[rooms]`: how far back a device resumes without the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomSettings {
    /// Most events in a room's ring, 0–65536; older ones are read from the store.
    pub ring_events: usize,
    /// Most bytes in a room's ring, 0–64 MiB.
    pub ring_bytes: usize,
    /// Most bytes of events that all rooms hold together, 0–64 GiB; the ring read least recently is emptied first.
    pub memory_bytes: usize,
    /// A room without members is kept this long for those who come back, seconds, 0–3600.
    pub linger_s: u64,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self { ring_events: 1024, ring_bytes: 2 * MIB, memory_bytes: 64 * MIB, linger_s: 30 }
    }
}

impl RoomSettings {
    /// Everything wrong with these settings.
    pub(in crate::actors) fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("rooms");
        checks.range("ring_events", self.ring_events, 0..=65_536);
        checks.range("ring_bytes", self.ring_bytes, 0..=64 * MIB);
        checks.range("memory_bytes", self.memory_bytes, 0..=64 * 1024 * MIB);
        checks.range("linger_s", self.linger_s, 0..=3600);
        checks.found()
    }
}
