//! The drain of a hub that was told to stop, phase by phase, each with its bound.

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::http::readiness::{Phase, Readiness};
use crate::storage::Store;

use super::build::Actors;
use super::last_seen_flusher::LastSeenFlusher;

/// Clients that lose their node come back spread over this long.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// Share of the drain time that sockets get; the rest is for requests and writers.
const SOCKETS_WITHIN: Duration = Duration::from_secs(10);

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
    /// Sockets first, then requests under way, writers and the database. Ends at most [`FLUSH_WITHIN`] twice after `within`.
    pub(super) async fn run(self, within: Duration, flush: Flush) {
        let Actors { sessions, persistence, timers, reachability, drivers, rooms, jobs, .. } = self.actors;
        self.readiness.set(Phase::Draining);
        jobs.stop();
        let deadline = Instant::now() + within;
        self.last_seen.touch_open_sockets().await;
        tracing::info!(sockets = sessions.open(), "draining");
        sessions.drain(RECONNECT_SPREAD, SOCKETS_WITHIN.min(within)).await;
        if timeout_at(deadline, self.server.stop(true)).await.is_err() {
            tracing::warn!("requests under way did not finish in time");
        }
        timers.stop();
        reachability.stop();
        drivers.stop().await;
        let last = deadline.max(Instant::now()) + FLUSH_WITHIN;
        let flushed = async {
            self.last_seen.store().await;
            persistence.drain().await;
        };
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
