//! Sessions: one actor for each socket, on the worker thread that owns the socket; and readers, which long polls and
//! event streams take their events from.

mod actor;
mod board;
mod changes;
mod clock;
mod effect;
mod follow;
mod frames;
mod line;
mod marked;
mod memory;
mod outbox;
mod postman;
mod reader;
mod state;

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::actors::FatalSignal;
use crate::auth::authenticator::Authenticator;
use crate::domain::ids::{SessionId, UserId};
use crate::storage::cache::CachedReads;
use crate::telemetry::Metrics;

use super::persistence::Persistence;
use super::room::Rooms;
use super::settings::SessionSettings;

use changes::{Change, Changes};

pub use board::Switchboard;
pub use effect::Opening;
pub use postman::Postbox;
pub use reader::{Ending, Portion, Reader, Step};

/// The quota of frames that reach the store: one for each user, over all their sockets.
pub trait FrameQuota: Send + Sync + 'static {
    /// Consumes one.
    ///
    /// # Errors
    /// How long to wait for the next.
    fn spend(&self, user: UserId, now: Instant) -> Result<(), Duration>;
}

/// What sessions need of the rest of the house.
#[derive(Clone)]
pub struct SessionDeps {
    rooms: Rooms,
    persistence: Persistence,
    reads: CachedReads,
    credentials: Authenticator,
    frame_quota: Arc<dyn FrameQuota>,
    settings: Arc<SessionSettings>,
    changes: Arc<Changes>,
    metrics: Metrics,
    fatal: FatalSignal,
    live_deliveries: IntCounter,
    history_deliveries: IntCounter,
    open: Arc<AtomicUsize>,
    readers: Arc<AtomicUsize>,
}

/// The handle to every session of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Sessions {
    deps: SessionDeps,
    workers: Arc<RwLock<Vec<Postbox>>>,
    next_worker: Arc<AtomicUsize>,
}

impl Sessions {
    /// No sessions yet, with the settings of one worker thread; each worker thread calls [`Sessions::start_worker`].
    #[expect(clippy::too_many_arguments, reason = "each is another part of the hub, named once")]
    pub fn new(
        rooms: Rooms,
        persistence: Persistence,
        reads: CachedReads,
        credentials: Authenticator,
        frame_quota: Arc<dyn FrameQuota>,
        settings: SessionSettings,
        metrics: Metrics,
        fatal: FatalSignal,
    ) -> Self {
        let live_deliveries = metrics.deliveries_total.with_label_values(&["live"]);
        let history_deliveries = metrics.deliveries_total.with_label_values(&["history"]);
        let deps = SessionDeps {
            rooms,
            persistence,
            reads,
            credentials,
            frame_quota,
            settings: Arc::new(settings),
            changes: Arc::default(),
            metrics,
            fatal,
            live_deliveries,
            history_deliveries,
            open: Arc::default(),
            readers: Arc::default(),
        };
        Self { deps, workers: Arc::default(), next_worker: Arc::default() }
    }

    /// Starts the switchboard of the thread this is called on; its sessions are opened through it.
    pub fn start_worker(&self) -> Rc<Switchboard> {
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed);
        let board = postman::Postman::start_here(worker, self.deps.clone());
        self.workers.write().unwrap_or_else(PoisonError::into_inner).push(board.postbox.clone());
        board
    }

    /// Ends every socket (4001) and reader of a sign-in that has ended.
    pub fn end_session(&self, session: SessionId) {
        self.change(Change::SessionEnded(session));
    }

    /// Lets every socket and reader of a user ask again whether it may be in its rooms; those that may not end (4003).
    pub fn check_rooms(&self, user: UserId) {
        self.change(Change::RoomsOf(user));
    }

    /// A thread that cannot be told now sees it at its next turn, or by its clock.
    fn change(&self, change: Change) {
        self.deps.changes.add(change);
        for worker in self.workers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            worker.nudge();
        }
    }

    /// Asks a user's silent sockets whether they are there, so that those of vanished devices give their places back within
    /// `sessions.pong_s`. A worker thread that is behind is not asked.
    pub fn probe(&self, user: UserId) {
        for worker in self.workers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            // Whoever finds no place now asks again.
            let _ = worker.offer(postman::Post::Probe(user));
        }
    }

    /// How long after [`Self::probe`] the places of vanished devices are free.
    pub fn probe_time(&self) -> Duration {
        // The thread's clock is exact to a second.
        Duration::from_secs(self.deps.settings.pong_s + 1)
    }

    /// The sign-ins that have a socket open, one for each socket; those of a thread that does not answer within
    /// `within` are left out.
    pub async fn signed_in(&self, within: Duration) -> Vec<SessionId> {
        let deadline = Instant::now() + within;
        let mut asked = Vec::new();
        self.tell_workers(|| {
            let (answer, answered) = oneshot::channel();
            asked.push(answered);
            postman::Post::Census(answer)
        });
        let mut signed_in = Vec::new();
        for answered in asked {
            if let Ok(Ok(here)) = tokio::time::timeout_at(deadline.into(), answered).await {
                signed_in.extend(here);
            }
        }
        signed_in
    }

    /// Open sockets.
    pub fn open(&self) -> usize {
        self.deps.open.load(Ordering::Relaxed)
    }

    /// Long polls and event streams that are served now.
    pub fn readers(&self) -> usize {
        self.deps.readers.load(Ordering::Relaxed)
    }

    /// Tells every client to come back within `spread` and closes (1012); returns when all sockets are closed or
    /// `within` has passed. Readers have been told by then; the server waits for their answers.
    pub async fn drain(&self, spread: Duration, within: Duration) {
        let deadline = Instant::now() + within;
        let mut told = Vec::new();
        self.tell_workers(|| {
            let (done, answer) = oneshot::channel();
            told.push(answer);
            postman::Post::Restart(spread, done)
        });
        for answer in told {
            // A worker that is gone has no sockets.
            let _ = tokio::time::timeout_at(deadline.into(), answer).await;
        }
        while self.open() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn tell_workers(&self, mut post: impl FnMut() -> postman::Post) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner).clone();
        for worker in workers {
            if let Err(error) = worker.tell(post()) {
                tracing::error!(worker = worker.worker(), %error, "a worker thread could not be told");
            }
        }
    }
}

/// Opens a session on a socket whose handshake has been answered. `early` is what the client sent right behind it.
/// `permit` is held until the socket is closed.
pub fn open(
    board: &Rc<Switchboard>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    early: Bytes,
    opening: Opening,
    permit: impl Sized + 'static,
) {
    actor::open(board, stream, early, opening, Box::new(permit));
}

#[cfg(test)]
mod tests;
