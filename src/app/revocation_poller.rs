//! Login sessions that others on the same database end: another node, or a command beside the hub.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actors::commit_fanout::CommitFanout;
use crate::auth::revocations::Revocations;
use crate::domain::time::Timestamp;
use crate::storage::Store;

/// Pause between questions to the store: with the time of an answer, a token that was revoked elsewhere is valid for 5 s at most.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// Each question reaches back this far before the last answer: more than clocks of nodes differ and a commit takes.
const OVERLAP: Duration = Duration::from_secs(60);

/// Pause between removals of revocations whose tokens have expired.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Asks the store which login sessions have ended, and ends them on this node.
pub(super) struct RevocationPoller {
    pub(super) store: Arc<dyn Store>,
    pub(super) fanout: Arc<CommitFanout>,
    pub(super) revocations: Revocations,
    pub(super) horizon: Horizon,
}

/// The time up to which ends are known. It follows the time that has passed where the wall clock shows more, so that one that is set
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

    /// The time from which the next question asks.
    fn since(self) -> Timestamp {
        self.known_to.minus(OVERLAP)
    }

    /// The horizon after the answer to a question that was asked at this moment.
    fn advanced(self, wall: Timestamp, now: Instant) -> Self {
        let passed = self.known_to.plus(now.saturating_duration_since(self.at));
        Self { known_to: wall.min(passed), at: now }
    }
}

impl RevocationPoller {
    /// Runs until it is stopped. While the store is away nothing is missed: the next question begins at the last answer.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.poll().await,
            }
        }
    }

    async fn poll(&mut self) {
        let (wall, now) = (Timestamp::now(), Instant::now());
        match self.store.sessions_ended_since(self.horizon.since()).await {
            Ok(ended) => {
                for session in ended.into_iter().filter(|session| !self.revocations.contains(*session)) {
                    tracing::info!(%session, "a login session was ended by another node or command");
                    self.fanout.end_session(session);
                }
                self.horizon = self.horizon.advanced(wall, now);
            }
            Err(error) => tracing::debug!(%error, "ended login sessions could not be read; trying again"),
        }
    }
}

/// Forgets, once a minute until it is stopped, revocations that no token can need any more.
pub(super) async fn prune(revocations: Revocations, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => revocations.prune(Instant::now(), Timestamp::now()),
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
