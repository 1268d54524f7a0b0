//! Worker threads: one actor for each, which gives the events of rooms to the sockets, long polls and event streams that the
//! thread serves.

mod access_changes;
mod ack_buffer;
mod actor;
pub(in crate::actors) mod deps;
mod drain;
mod handle;
mod messages;
pub(in crate::actors) mod queued_bytes;
mod settings;
mod state;
pub(in crate::actors) mod subscriber;
pub(in crate::actors) mod thread;

use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::prelude::{Actor as _, AsyncContext as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::domain::access::Principal;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::room::RoomId;

use super::mailbox::Mailbox;
use super::room::listener::Listener as _;
use access_changes::{AccessChange, AccessChanges};
use actor::WorkerActor;
use deps::WorkerDeps;
use handle::WorkerHandle;
use messages::WorkerMessage;
use settings::{MAILBOX, RESERVED};

pub use deps::FrameQuota;
pub use drain::DrainPlan;
pub use subscriber::CloseNotice;
pub use thread::Worker;

/// The handles to all worker threads of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone, Default)]
pub struct Workers {
    handles: Arc<RwLock<Vec<WorkerHandle>>>,
    changes: Arc<AccessChanges>,
}

impl Workers {
    /// No workers yet. It depends on nothing, so what commits set in motion can hold it before the first worker runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the worker of the thread this is called on.
    pub(in crate::actors) fn start_worker(&self, deps: WorkerDeps) -> Rc<Worker> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let guard = deps.fatal.guard("the actor of a worker thread");
        let mut started = None;
        WorkerActor::create(|ctx| {
            // The count of waiting messages is the bound, not this.
            ctx.set_mailbox_capacity(MAILBOX + RESERVED + 2);
            let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
            let handle = WorkerHandle::new(handles.len(), Mailbox::new(ctx.address()), waiting.clone());
            handles.push(handle.clone());
            let worker = Rc::new(Worker::new(Arc::new(handle), deps));
            started = Some(worker.clone());
            WorkerActor::new(worker, waiting, self.changes.clone(), guard)
        });
        started.expect("create runs its closure before it returns")
    }

    /// Closes every socket (4001), long poll and stream of a login session that has ended.
    pub fn end_session(&self, session: LoginSessionId) {
        self.record(AccessChange::SessionEnded(session));
    }

    /// Lets every socket, long poll and stream of a user check again whether it may be in its rooms; those that may not are
    /// closed (4003).
    pub fn recheck_access(&self, user: UserId) {
        self.record(AccessChange::RoomsOf(user));
    }

    /// Lets every socket, long poll and stream check whether its login session has ended and whether it may be in its rooms.
    pub fn recheck_everybody(&self) {
        self.record(AccessChange::Everybody);
    }

    /// A worker whose mailbox is full sees the change before its next message, or at its next tick.
    fn record(&self, change: AccessChange) {
        self.changes.add(change);
        for worker in self.handles().iter() {
            let _ = worker.try_send(WorkerMessage::AccessChanged);
        }
    }

    /// Asks a user's silent sockets whether they are there, so that those of vanished devices give their places back within
    /// `sessions.pong_s`. A worker thread that is behind is not asked; the client's next attempt asks again.
    pub fn probe(&self, user: UserId) {
        for worker in self.handles().iter() {
            let _ = worker.try_send(WorkerMessage::Probe(user));
        }
    }

    /// Whoever has an open socket, long poll or stream, once for each of them. Those of a thread that does not answer within `within` are
    /// left out.
    pub async fn connected(&self, within: Duration) -> Vec<Principal> {
        let deadline = Instant::now() + within;
        let mut active = Vec::new();
        for answer in self.ask_all(WorkerMessage::ListConnected) {
            if let Ok(Ok(connected)) = timeout_at(deadline, answer).await {
                active.extend(connected);
            }
        }
        active
    }

    /// Sockets, long polls and streams that follow a room on this node; those of a thread that does not answer within `within` are left
    /// out.
    pub async fn members(&self, room: RoomId, within: Duration) -> usize {
        let (deadline, mut members) = (Instant::now() + within, 0);
        for answer in self.ask_all(|reply| WorkerMessage::CountMembers(room, reply)) {
            if let Ok(Ok(count)) = timeout_at(deadline, answer).await {
                members += count;
            }
        }
        members
    }

    /// Tells every client to come back, as planned; returns when all workers have begun, or at `deadline`.
    pub(in crate::actors) async fn restart(&self, plan: DrainPlan, deadline: Instant) {
        for answer in self.ask_all(|done| WorkerMessage::Restart(plan, done)) {
            // A worker that is gone has no sockets.
            let _ = timeout_at(deadline, answer).await;
        }
    }

    /// Sends a question to every worker at once.
    fn ask_all<T>(&self, message: impl Fn(oneshot::Sender<T>) -> WorkerMessage) -> Vec<oneshot::Receiver<T>> {
        let mut answers = Vec::new();
        for worker in self.handles().iter() {
            let (reply, answer) = oneshot::channel();
            match worker.send(message(reply)) {
                Ok(()) => answers.push(answer),
                Err(error) => {
                    tracing::error!(worker = worker.id(), %error, "a message to a worker thread was lost");
                }
            }
        }
        answers
    }

    fn handles(&self) -> std::sync::RwLockReadGuard<'_, Vec<WorkerHandle>> {
        self.handles.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
