//! Settings of sockets, long polls and event streams.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::quota::LeakyBucket;
use crate::settings::{Checks, SettingProblem};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// `[sessions]`: one socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSettings {
    /// Most frames waiting for a device, 1–65536; then it lags and catches up from the log.
    pub outbox_frames: usize,
    /// Most bytes waiting for a device, 1 KiB–16 MiB; then it lags and catches up from the log.
    pub outbox_bytes: usize,
    /// Most bytes waiting for all devices of this node together, 1 MiB–64 GiB, each worker thread a share; beyond it a
    /// device that has something waiting catches up from the log.
    pub memory_bytes: usize,
    /// Largest message from a device, 1–64 KiB; a larger one closes the socket with 1009 before it is collected.
    pub frame_bytes: usize,
    /// A ping after this much silence, seconds, 1–30.
    pub ping_s: u64,
    /// The socket closes (4009) when no pong came in this time, seconds, 1–20.
    pub pong_s: u64,
    /// The socket closes (4008) when a write moves nothing for this long, seconds, 1–45.
    pub write_stall_s: u64,
    /// Acknowledgements are stored at most this often per device and room, milliseconds, 10–10000.
    pub ack_flush_ms: u64,
    /// Sockets one user may hold on this node, 1–10000.
    pub max_per_user: usize,
    /// Sockets one address may hold on this node, 1–1000000.
    pub max_per_ip: usize,
    /// Rooms one socket may be in, 1–1000.
    pub max_rooms: usize,
    /// Frames a device may send in a second for long, 1–10000; the socket of one that sends more closes (4029).
    /// Acknowledgements of something new do not count.
    pub frames_per_s: u32,
    /// Frames a device may send at once, 1–1000000.
    pub frames_burst: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            outbox_frames: 1024,
            outbox_bytes: 256 * KIB,
            memory_bytes: 256 * MIB,
            frame_bytes: 64 * KIB,
            ping_s: 25,
            pong_s: 10,
            write_stall_s: 10,
            ack_flush_ms: 1000,
            max_per_user: 20,
            max_per_ip: 1000,
            max_rooms: 32,
            frames_per_s: 100,
            // A device that comes back may mark each event of a whole ring as shown and as acted on, and again so many.
            frames_burst: 4096,
        }
    }
}

impl SessionSettings {
    /// As one of `workers` threads is to keep them: with its share of the memory.
    pub fn of_one_worker(&self, workers: usize) -> Self {
        Self { memory_bytes: self.memory_bytes / workers.max(1), ..self.clone() }
    }

    /// The bound on frames that a device may send.
    pub(super) fn frames(&self) -> LeakyBucket {
        LeakyBucket::new(self.frames_per_s, Duration::from_secs(1), self.frames_burst)
    }

    /// Everything wrong with these settings.
    pub(in crate::actors) fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("sessions");
        checks.range("outbox_frames", self.outbox_frames, 1..=65_536);
        checks.range("outbox_bytes", self.outbox_bytes, KIB..=16 * MIB);
        checks.range("memory_bytes", self.memory_bytes, MIB..=64 * 1024 * MIB);
        checks.range("frame_bytes", self.frame_bytes, KIB..=64 * KIB);
        checks.range("ping_s", self.ping_s, 1..=30);
        checks.range("pong_s", self.pong_s, 1..=20);
        checks.range("write_stall_s", self.write_stall_s, 1..=45);
        checks.range("ack_flush_ms", self.ack_flush_ms, 10..=10_000);
        checks.range("max_per_user", self.max_per_user, 1..=10_000);
        checks.range("max_per_ip", self.max_per_ip, 1..=1_000_000);
        checks.range("max_rooms", self.max_rooms, 1..=1000);
        checks.range("frames_per_s", self.frames_per_s, 1..=10_000);
        checks.range("frames_burst", self.frames_burst, 1..=1_000_000);
        // The contract: no descriptor outlives its peer by more than 45 s. A second each until the ping is due and the pong is
        // missed, and two for the close handshake, come on top.
        if self.ping_s.saturating_add(self.pong_s) > 41 {
            checks.refuse("pong_s", "sessions.ping_s and sessions.pong_s together must not pass 41 s");
        }
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_peer_is_never_held_longer_than_the_contract_says() {
        let settings = SessionSettings { ping_s: 30, pong_s: 16, ..Default::default() };
        assert_eq!(settings.problems().len(), 1);
    }
}
