//! Persistence: the only door to writing. Commands wait in bounded queues, share transactions, and are answered
//! after the commit.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

mod actor;
mod backlog;
mod batch_builder;
mod commit_listener;
mod errors;
mod limits;
mod messages;
mod permits;
mod queued_command;
mod settings;
mod state;
mod verbs;
mod writer_task;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use tokio::sync::{mpsc, oneshot};

use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    Command, IdempotencyKey, Keyed, KeyedRepeat, Outcome, RenderedResponse, Write, WriteRequest,
};
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::FatalSignal;
use super::mailbox::Mailbox;
use actor::PersistenceActor;
use backlog::Backlog;
pub use commit_listener::CommitListener;
pub use errors::SubmitError;
use limits::QueueLimits;
use messages::{BatchEnd, Drain, Job, LaneIdle, Submit, Waiter};
use permits::Permits;
use queued_command::Class;
pub use settings::PersistenceSettings;

/// When to try again after [`SubmitError::Overloaded`] or [`SubmitError::Unavailable`].
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a caller waits for its outcome. A command still queued by then is taken out untried.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What the caller adds to [`DEADLINE`] so that the queue's own answer arrives first.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// The result of a write with an idempotency key.
#[derive(Debug)]
pub enum Once<T> {
    /// It was done now.
    Now(T),
    /// The key was used before.
    Repeated(KeyedRepeat),
}

/// The handle: cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Persistence {
    mailbox: Mailbox<PersistenceActor>,
    lanes: usize,
    /// Commands that are queued or under way; what is beyond is refused before it reaches the mailbox.
    permits: Permits,
    backlog: Arc<Backlog>,
}

impl Persistence {
    /// Opens `lanes` writers (never more than the store can use) on arbiters of their own and starts taking
    /// commands. If a writer panics, `fatal` is raised: the process must end.
    ///
    /// # Errors
    /// When a writer cannot be opened.
    pub async fn start(
        store: &Arc<dyn Store>,
        lanes: usize,
        settings: &PersistenceSettings,
        listener: Arc<dyn CommitListener>,
        metrics: Metrics,
        fatal: FatalSignal,
    ) -> Result<Self, StoreError> {
        let lanes = lanes.clamp(1, store.max_lanes());
        let limits = QueueLimits::of(settings);
        let permits = Permits::new(&limits, lanes);
        let capacity = permits.total();
        let mut senders = Vec::with_capacity(lanes);
        let mut writers = Vec::with_capacity(lanes);
        for _ in 0..lanes {
            let (sender, receiver) = mpsc::channel(1);
            senders.push(sender);
            writers.push((store.open_lane().await?, receiver));
        }
        let arbiter = Arbiter::new();
        let guard = fatal.guard("the persistence actor");
        let backlog = Arc::new(Backlog::new(lanes, limits.max_wait, Instant::now()));
        let actor = PersistenceActor::new(senders, limits, backlog.clone(), metrics.clone(), guard);
        // What lanes report must never be refused; permits bound the rest.
        let mailbox = Mailbox::start_in(&arbiter.handle(), capacity + lanes + 2, actor);
        for (lane, (writer, receiver)) in writers.into_iter().enumerate() {
            let idle = reporter(mailbox.clone(), lane);
            let (listener, metrics, guard) =
                (listener.clone(), metrics.clone(), fatal.guard("a writer lane"));
            Arbiter::new().spawn(async move {
                writer_task::run(writer, receiver, listener, metrics, idle).await;
                guard.disarm();
                Arbiter::current().stop();
            });
        }
        Ok(Self { mailbox, lanes, permits, backlog })
    }

    /// Whether new work has a chance now, for saying no before anything was done for it.
    ///
    /// # Errors
    /// `Overloaded` while nearly every lane's queue is as long as it may be.
    pub fn takes_new_work(&self) -> Result<(), SubmitError> {
        let full = self.permits.of(Class::NewWork).available_permits() == 0;
        if full || self.backlog.is_too_long_on_the_whole(Instant::now()) {
            return Err(SubmitError::Overloaded);
        }
        Ok(())
    }

    /// Takes no more commands, waits for those it has, and stops.
    pub async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        if self.mailbox.offer(Drain { done }).is_ok() {
            // A sender that was dropped means the actor is gone, which is what was asked for.
            let _ = drained.await;
        }
    }

    /// Writes it, and gives what came of it after the commit.
    pub async fn write<W: WriteRequest>(&self, write: W) -> Result<W::Output, SubmitError> {
        own_outcome::<W>(self.submit(write.into()).await?)
    }

    /// Writes it unless the key was used before; `response` answers the request and is stored with the key if something is made.
    pub async fn write_once<W: WriteRequest>(
        &self,
        key: IdempotencyKey,
        response: RenderedResponse,
        write: W,
    ) -> Result<Once<W::Output>, SubmitError> {
        let RenderedResponse { status, body } = response;
        match self.write(Box::new(Keyed { key, status, body, write: write.into() })).await? {
            Outcome::Repeated(repeat) => Ok(Once::Repeated(repeat)),
            outcome => own_outcome::<W>(outcome).map(Once::Now),
        }
    }

    async fn submit(&self, write: Write) -> Result<Outcome, SubmitError> {
        let (key, class, bytes) = (write.lane_key(), write.priority(), write.bytes());
        let lane = (key % self.lanes as u64) as usize;
        // The lane would say the same; this spares it the question.
        if class == Class::NewWork && self.backlog.is_too_long(lane, Instant::now()) {
            return Err(SubmitError::Overloaded);
        }
        let permits = self.permits.of(class).clone();
        let permit = permits.try_acquire_owned().map_err(|_| SubmitError::Overloaded)?;
        let (reply, outcome) = oneshot::channel();
        let command = Command { id: CommandId::generate(), at: Timestamp::now(), write };
        let submit = Submit {
            job: Job { command, waiter: Waiter { reply, permit } },
            lane,
            class,
            key,
            bytes,
            deadline: Instant::now() + DEADLINE,
        };
        self.mailbox.offer(submit).map_err(|_| SubmitError::Overloaded)?;
        let answer = tokio::time::timeout(DEADLINE + ANSWER_MARGIN, outcome).await;
        match answer {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(SubmitError::OutcomeUnknown),
        }
    }
}

fn own_outcome<W: WriteRequest>(outcome: Outcome) -> Result<W::Output, SubmitError> {
    W::output(outcome).map_err(|outcome| {
        tracing::error!(?outcome, "a command was answered with another command's outcome");
        SubmitError::Refused
    })
}

/// Tells the actor that a lane has ended a batch; there is always room for that.
fn reporter(mailbox: Mailbox<PersistenceActor>, lane: usize) -> impl Fn(BatchEnd) {
    move |ended| {
        if let Err(error) = mailbox.offer(LaneIdle { lane, ended }) {
            tracing::error!(lane, %error, "a lane could not report");
        }
    }
}
