//! The drain of a hub that was told to stop, phase by phase, each with its bound.
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::actors::persistence::Persistence;
use crate::actors::worker::DrainPlan;
use crate::domain::ids::NodeId;
use crate::http::readiness::{Phase, Readiness};
use crate::http::settings::ServerSettings;
use crate::storage::Store;
use crate::storage::commands::LeaveHub;

use super::build::Actors;
use super::last_seen_flusher::LastSeenFlusher;

/// Time that a client gets to take its last frames and close.
const CLOSING: Duration = Duration::from_secs(3);

/// Time of the drain that is kept for requests under way once the sockets are closed.
const REQUESTS: Duration = Duration::from_secs(2);

/// Time beyond the drain time that the writers get, and then the database, at most: with the 25 s of the default the
/// process ends within 30 s, when supervisors kill.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Whether the writers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    Writers,
    /// A part died, and what it had cannot be written any more.
    Nothing,
}

/// The parts that have to end in order.
pub(super) struct Shutdown {
    pub(super) actors: Actors,
    pub(super) last_seen: LastSeenFlusher,
    pub(super) server: ServerHandle,
    pub(super) store: Arc<dyn Store>,
    pub(super) readiness: Readiness,
    pub(super) stop: CancellationToken,
}

impl Shutdown {
    /// Sockets first, then requests under way, writers and the database. Ends at most [`FLUSH_WITHIN`] twice after
    /// `server.drain_s`.
    pub(super) async fn run(self, settings: &ServerSettings, flush: Flush) {
        let within = Duration::from_secs(settings.drain_s);
        let Actors { sessions, persistence, timers, reachability, drivers, rooms, jobs, nodes, .. } =
            self.actors;
        self.readiness.set(Phase::Draining);
        jobs.stop();
        // The others know at once; a store that is away delays nothing. It ends with the keeper.
        let told = reachability.clone();
        actix::spawn(async move { told.renew_now().await });
        let deadline = Instant::now() + within;
        self.last_seen.touch_open_sockets().await;
        let spread = settings.drain_spread(sessions.open());
        tracing::info!(sockets = sessions.open(), spread_s = spread.as_secs_f64(), "draining");
        let (plan, closed_within) = times(spread, within, flush);
        sessions.drain(plan, closed_within).await;
        if timeout_at(deadline, self.server.stop(true)).await.is_err() {
            tracing::warn!("requests under way did not finish in time");
        }
        timers.stop();
        reachability.stop();
        drivers.stop().await;
        let last = deadline.max(Instant::now()) + FLUSH_WITHIN;
        let flushed = write_out(&self.last_seen, &persistence, nodes.own());
        if flush == Flush::Writers && timeout_at(last, flushed).await.is_err() {
            tracing::error!("the writers did not finish in time");
        }
        self.stop.cancel();
        rooms.stop();
        if timeout_at(last + FLUSH_WITHIN, self.store.close()).await.is_err() {
            tracing::warn!("the database pool did not close in time");
        }
        tracing::info!("stopped");
    }
}

/// Writes what is still in memory, says that this node leaves, and ends the writers.
async fn write_out(last_seen: &LastSeenFlusher, persistence: &Persistence, node: NodeId) {
    last_seen.store().await;
    // Without this word the others wait until the lease of this node has run out. Not waited for: the store may be away.
    let leave = persistence.write(LeaveHub { node });
    let (left, ()) = tokio::join!(leave, persistence.drain());
    if let Err(error) = left {
        tracing::debug!(%error, "the other nodes were not told");
    }
}

/// How clients are told, and the time within which their sockets are closed. They are served until their moment, unless a part died:
/// then they are better off elsewhere.
fn times(spread: Duration, within: Duration, flush: Flush) -> (DrainPlan, Duration) {
    let closed_within = (spread + CLOSING).min(within.saturating_sub(REQUESTS));
    let told_within = match flush {
        Flush::Writers => closed_within.saturating_sub(CLOSING),
        Flush::Nothing => Duration::ZERO,
    };
    (DrainPlan { spread, told_within }, closed_within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_told_in_time_to_close_before_the_requests_end() {
        let times = |spread, within, flush| {
            let (spread, within) = (Duration::from_secs(spread), Duration::from_secs(within));
            let (plan, closed_within) = times(spread, within, flush);
            assert_eq!(plan.spread, spread);
            (plan.told_within.as_secs(), closed_within.as_secs())
        };
        assert_eq!(times(5, 25, Flush::Writers), (5, 8));
        assert_eq!(times(20, 25, Flush::Writers), (20, 23));
        assert_eq!(times(20, 10, Flush::Writers), (5, 8), "the rest is told at once when to come back");
        assert_eq!(times(20, 0, Flush::Writers), (0, 0));
        assert_eq!(times(20, 25, Flush::Nothing), (0, 23), "a part died");
    }
}
