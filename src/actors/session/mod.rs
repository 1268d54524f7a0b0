//! Sessions: one actor for each socket, on the worker thread that owns the socket.

mod actor;
mod connection;
mod driving;
mod effects;
mod frames;
mod messages;
mod outbox;
mod ringing;
mod rooms;
pub(in crate::actors) mod settings;
mod state;
mod stored_marks;
mod timers;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::authenticator::Authenticator;
use crate::domain::ids::LoginSessionId;
use crate::storage::cache::CachedReads;
use crate::telemetry::Metrics;

use super::driver_positions::DriverPositions;
use super::fatal::FatalSignal;
use super::persistence::Persistence;
use super::reachability::Reachability;
use super::room::Rooms;
use super::worker::deps::{FrameQuota, WorkerDeps};
use super::worker::{DrainPlan, Worker, Workers};
use settings::SessionSettings;

pub use actor::open;
pub use messages::ConnectParams;

/// The handle to every session of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Sessions {
    deps: WorkerDeps,
    workers: Workers,
}

impl Sessions {
    /// No sessions yet, with the settings of one worker thread; each worker thread calls [`Sessions::start_worker`].
    #[expect(clippy::too_many_arguments, reason = "each is another part of the hub, named once")]
    pub fn new(
        workers: Workers,
        rooms: Rooms,
        persistence: Persistence,
        reads: CachedReads,
        authenticator: Authenticator,
        frame_quota: Arc<dyn FrameQuota>,
        reachability: Reachability,
        drivers: DriverPositions,
        settings: SessionSettings,
        metrics: Metrics,
        fatal: FatalSignal,
    ) -> Self {
        let live_deliveries = metrics.deliveries_total.with_label_values(&["live"]);
        let history_deliveries = metrics.deliveries_total.with_label_values(&["history"]);
        let deps = WorkerDeps {
            rooms,
            persistence,
            reads,
            authenticator,
            frame_quota,
            reachability,
            drivers,
            settings: Arc::new(settings),
            metrics,
            fatal,
            live_deliveries,
            history_deliveries,
            open_sockets: Arc::new(AtomicUsize::new(0)),
            open_readers: Arc::new(AtomicUsize::new(0)),
        };
        Self { deps, workers }
    }

    /// Starts the worker of the thread this is called on; its sessions and readers are opened through it.
    pub fn start_worker(&self) -> Rc<Worker> {
        self.workers.start_worker(self.deps.clone())
    }

    /// The worker threads that serve the sessions.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Time after [`Workers::probe`] at which the places of vanished devices are free.
    pub fn probe_time(&self) -> Duration {
        // The tick is exact to a second.
        Duration::from_secs(self.deps.settings.pong_s + 1)
    }

    /// The login sessions with an open socket, long poll or stream, one for each of them; those of a thread that does not answer
    /// within `within` are left out.
    pub async fn active_sessions(&self, within: Duration) -> Vec<LoginSessionId> {
        self.workers.connected(within).await.into_iter().map(|principal| principal.session).collect()
    }

    /// Open sockets.
    pub fn open(&self) -> usize {
        self.deps.open_sockets.load(Ordering::Relaxed)
    }

    /// Long polls and event streams that are served now.
    pub fn readers(&self) -> usize {
        self.deps.open_readers.load(Ordering::Relaxed)
    }

    /// Tells every client to come back, as planned, and closes (1012); returns when all sockets are closed or `within` has
    /// passed. Long polls and streams have been told by then; the server waits for their answers.
    pub async fn drain(&self, plan: DrainPlan, within: Duration) {
        let deadline = Instant::now() + within;
        self.workers.restart(plan, deadline).await;
        while self.open() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
