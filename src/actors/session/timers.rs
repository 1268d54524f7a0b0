//! The timers of one socket: heartbeat, stalled writes, expiry of the token. Pure.

use std::time::{Duration, Instant};

use crate::actors::token_expiry::{EXPIRY_GRACE, instant_of};
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;

use super::messages::WriteProgress;
use super::settings::SessionSettings;

/// Time between the notice that a token runs out and its end.
const EXPIRY_NOTICE: Duration = Duration::from_secs(60);

/// A peer that sent something this lately is not asked.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// An action that is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    /// Tell the client that its token runs out in this many seconds.
    TokenExpiring(u64),
    Close(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    Far,
    Announced,
}

/// The times of the next actions.
#[derive(Debug)]
pub(super) struct Timers {
    token_expires: Instant,
    expiry: Expiry,
    last_received: Instant,
    ping_sent: Option<Instant>,
    stalled_since: Option<Instant>,
}

impl Timers {
    pub(super) fn new(token_expires_at: Timestamp, wall: Timestamp, now: Instant) -> Self {
        Self {
            token_expires: instant_of(token_expires_at, wall, now),
            expiry: Expiry::Far,
            last_received: now,
            ping_sent: None,
            stalled_since: None,
        }
    }

    /// Bytes came from the peer: it is there.
    pub(super) fn on_received(&mut self, now: Instant) {
        self.last_received = now;
        self.ping_sent = None;
    }

    /// Whether to send a ping now: the peer was silent for [`PROBE_AFTER`] and no ping is on its way.
    pub(super) fn probe(&mut self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.last_received) >= PROBE_AFTER;
        let asks = silent && self.ping_sent.is_none() && self.stalled_since.is_none();
        if asks {
            self.ping_sent = Some(now);
        }
        asks
    }

    /// A write went through, or found the socket full; `None` when nothing waits any more.
    pub(super) fn on_write(&mut self, progress: Option<WriteProgress>, now: Instant) {
        match progress {
            None => self.stalled_since = None,
            Some(WriteProgress::Moved) => self.stalled_since = Some(now),
            Some(WriteProgress::Blocked) => {
                self.stalled_since.get_or_insert(now);
            }
        }
    }

    /// A newer token holds until `token_expires_at`.
    pub(super) fn renew(&mut self, token_expires_at: Timestamp, wall: Timestamp, now: Instant) {
        self.token_expires = instant_of(token_expires_at, wall, now);
        self.expiry = Expiry::Far;
    }

    /// The next action that is due; called until there is none.
    pub(super) fn tick(&mut self, now: Instant, limits: &SessionSettings) -> Option<Due> {
        let since = |then: Instant| now.saturating_duration_since(then);
        if now >= self.token_expires + EXPIRY_GRACE {
            return Some(Due::Close(CloseReason::TokenExpired));
        }
        if let Some(stalled) = self.stalled_since {
            // While nothing can be written no ping gets out: the pong clock rests.
            if since(stalled) >= Duration::from_secs(limits.write_stall_s) {
                return Some(Due::Close(CloseReason::TooSlow));
            }
        } else if let Some(sent) = self.ping_sent {
            if since(sent) >= Duration::from_secs(limits.pong_s) {
                return Some(Due::Close(CloseReason::HeartbeatMissed));
            }
        } else if since(self.last_received) >= Duration::from_secs(limits.ping_s) {
            self.ping_sent = Some(now);
            return Some(Due::Ping);
        }
        if self.expiry == Expiry::Far && now + EXPIRY_NOTICE >= self.token_expires {
            self.expiry = Expiry::Announced;
            return Some(Due::TokenExpiring(self.token_expires.saturating_duration_since(now).as_secs()));
        }
        None
    }

    /// The earliest time at which a tick can have an effect.
    pub(super) fn next_tick(&self, limits: &SessionSettings) -> Instant {
        let heartbeat = if let Some(since) = self.stalled_since {
            since + Duration::from_secs(limits.write_stall_s)
        } else if let Some(sent) = self.ping_sent {
            sent + Duration::from_secs(limits.pong_s)
        } else {
            self.last_received + Duration::from_secs(limits.ping_s)
        };
        let token = match self.expiry {
            Expiry::Far => self.token_expires.checked_sub(EXPIRY_NOTICE).unwrap_or(self.token_expires),
            Expiry::Announced => self.token_expires + EXPIRY_GRACE,
        };
        heartbeat.min(token)
    }
}
