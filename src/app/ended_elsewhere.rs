//! Sign-ins that were ended by others on the same database: another node, or a command beside the hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::auth::revocations::Revocations;
use crate::domain::time::Timestamp;
use crate::storage::Store;

use super::Announcer;

/// How often the store is asked: with what an answer takes, a token that was ended elsewhere works for 5 s at most.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// How far clocks of nodes may differ, together with what a commit takes: ends are looked for from so long before the last
/// answer.
const OVERLAP: Duration = Duration::from_secs(60);

/// Looks for ended sign-ins, and ends them here.
pub(super) struct EndedElsewhere {
    pub(super) store: Arc<dyn Store>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) revocations: Revocations,
    pub(super) horizon: Horizon,
}

/// Up to when ends are known. It follows the time that has passed where the wall clock shows more, so that one that is set
/// ahead hides nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    known_to: Timestamp,
    at: Instant,
}

impl Horizon {
    /// Everything up to `wall` is known.
    pub(super) fn new(wall: Timestamp, now: Instant) -> Self {
        Self { known_to: wall, at: now }
    }

    /// From when on the next look has to go.
    fn since(self) -> Timestamp {
        self.known_to.minus(OVERLAP)
    }

    /// The horizon once a look that began at this moment was answered.
    fn advanced(self, wall: Timestamp, now: Instant) -> Self {
        let passed = self.known_to.plus(now.saturating_duration_since(self.at));
        Self { known_to: wall.min(passed), at: now }
    }
}

impl EndedElsewhere {
    /// Looks until it is stopped. While the store is away nothing is missed: the next look begins where the last answer was.
    pub(super) async fn follow(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let (wall, now) = (Timestamp::now(), Instant::now());
        match self.store.sessions_ended_since(self.horizon.since()).await {
            Ok(ended) => {
                for session in ended.into_iter().filter(|session| !self.revocations.contains(*session)) {
                    tracing::info!(%session, "a sign-in was ended by another node or command");
                    self.announcer.end_session(session);
                }
                self.horizon = self.horizon.advanced(wall, now);
            }
            Err(error) => tracing::debug!(%error, "ends of sign-ins could not be looked for; trying again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_hides_no_end() {
        let (start, wall) = (Instant::now(), Timestamp::from_unix_seconds(1_000_000));
        let s = Duration::from_secs;
        let horizon = Horizon::new(wall, start);
        assert_eq!(horizon.advanced(wall.plus(s(3)), start + s(3)).since(), wall.plus(s(3)).minus(OVERLAP));
        let ahead = horizon.advanced(wall.plus(s(32_400)), start + s(3));
        assert_eq!(ahead.since(), wall.plus(s(3)).minus(OVERLAP));
        let back = horizon.advanced(wall.minus(s(32_400)), start + s(3));
        assert_eq!(back.since(), wall.minus(s(32_400)).minus(OVERLAP));
    }
}
