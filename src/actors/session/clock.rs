//! The clocks of one socket: heartbeat, stalled writes, the token's end. Pure.

use std::time::{Duration, Instant};

use crate::actors::settings::SessionSettings;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;

use super::effect::Progress;

/// A token's owner is told this long before it runs out, and may be this late with a new one.
const EXPIRY_NOTICE: Duration = Duration::from_secs(60);
pub(super) const EXPIRY_GRACE: Duration = Duration::from_secs(30);

/// A peer that was heard this lately is there.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// What is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask the peer whether it is there.
    Ping,
    /// Tell the client that its token runs out in so many seconds.
    TokenExpiring(u64),
    /// End the session.
    Close(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    Far,
    Announced,
}

/// When what is due.
#[derive(Debug)]
pub(super) struct Clock {
    token_expires: Instant,
    expiry: Expiry,
    last_heard: Instant,
    ping_sent: Option<Instant>,
    stalled_since: Option<Instant>,
}

impl Clock {
    pub(super) fn new(token_expires_at: Timestamp, wall: Timestamp, now: Instant) -> Self {
        Self {
            token_expires: instant_of(token_expires_at, wall, now),
            expiry: Expiry::Far,
            last_heard: now,
            ping_sent: None,
            stalled_since: None,
        }
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.ping_sent = None;
    }

    /// Whether the peer is to be asked out of turn: it was silent for [`PROBE_AFTER`] and no ping is on its way.
    pub(super) fn probe(&mut self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.last_heard) >= PROBE_AFTER;
        let asks = silent && self.ping_sent.is_none() && self.stalled_since.is_none();
        if asks {
            self.ping_sent = Some(now);
        }
        asks
    }

    /// A write went through, or found the socket full; `None` when nothing waits any more.
    pub(super) fn wrote(&mut self, progress: Option<Progress>, now: Instant) {
        match progress {
            None => self.stalled_since = None,
            Some(Progress::Moved) => self.stalled_since = Some(now),
            Some(Progress::Blocked) => {
                self.stalled_since.get_or_insert(now);
            }
        }
    }

    /// A newer token holds until then.
    pub(super) fn renew(&mut self, token_expires_at: Timestamp, wall: Timestamp, now: Instant) {
        self.token_expires = instant_of(token_expires_at, wall, now);
        self.expiry = Expiry::Far;
    }

    /// The next thing that is due; asked until there is none.
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
        } else if since(self.last_heard) >= Duration::from_secs(limits.ping_s) {
            self.ping_sent = Some(now);
            return Some(Due::Ping);
        }
        if self.expiry == Expiry::Far && now + EXPIRY_NOTICE >= self.token_expires {
            self.expiry = Expiry::Announced;
            return Some(Due::TokenExpiring(self.token_expires.saturating_duration_since(now).as_secs()));
        }
        None
    }

    /// When the next tick is worth anything.
    pub(super) fn next_tick(&self, limits: &SessionSettings) -> Instant {
        let heartbeat = if let Some(since) = self.stalled_since {
            since + Duration::from_secs(limits.write_stall_s)
        } else if let Some(sent) = self.ping_sent {
            sent + Duration::from_secs(limits.pong_s)
        } else {
            self.last_heard + Duration::from_secs(limits.ping_s)
        };
        let token = match self.expiry {
            Expiry::Far => self.token_expires.checked_sub(EXPIRY_NOTICE).unwrap_or(self.token_expires),
            Expiry::Announced => self.token_expires + EXPIRY_GRACE,
        };
        heartbeat.min(token)
    }
}

pub(super) fn instant_of(at: Timestamp, wall: Timestamp, now: Instant) -> Instant {
    if at >= wall { now + at.since(wall) } else { now.checked_sub(wall.since(at)).unwrap_or(now) }
}
