//! Persistence: the only door to writing. Commands wait in bounded queues, share transactions, and are answered
//! after the commit.

mod actor;
mod backlog;
mod lane;
mod messages;
mod permits;
mod state;
mod verbs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use tokio::sync::{mpsc, oneshot};

use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;
use crate::storage::commands::{
    Command, IdempotencyKey, Keyed, KeyedRepeat, Outcome, RenderedResponse, Write, WriteRequest,
};
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::FatalSignal;
use super::mailbox::Mailbox;
use super::settings::PersistenceSettings;
use actor::PersistenceActor;
use backlog::Backlog;
use messages::{Drain, Job, LaneIdle, Submit, Waiter};
use permits::Permits;
use state::{Class, QueueLimits};

/// Why a command has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It did not happen: too much waits. Try again after [`RETRY_AFTER`].
    #[error("too many commands wait for the store")]
    Overloaded,
    /// It did not happen: the store is away or too slow, or the hub is going down.
    #[error("the store is not available")]
    Unavailable,
    /// It did not happen: alone, and twice, it met a time limit of the hub's own. The log has which.
    #[error("the command takes longer than the store's time limits")]
    TooSlow,
    /// It did not happen, and would not if tried again: the log has the cause.
    #[error("the store refused the command")]
    Refused,
    /// The deadline passed while it was being written: it may have happened.
    #[error("the deadline passed while the command was being written")]
    OutcomeUnknown,
}

/// When to try again after [`SubmitError::Overloaded`] or [`SubmitError::Unavailable`].
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a caller waits for its outcome. A command still queued by then is taken out untried.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What the caller adds to [`DEADLINE`] so that the queue's own answer arrives first.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// Hears of every commit, in commit order for each lane, before the callers do. Must return soon: the lane waits.
pub trait CommitObserver: Send + Sync + 'static {
    /// These commands were committed with these outcomes, and rooms have these events to hear.
    fn committed(&self, commands: &[Command], outcomes: &[Outcome], events: Vec<RoomEvent>);

    /// A COMMIT of these commands had no answer. They are tried until it is known what became of them, which can take as
    /// long as the store is away; until then they may have happened. Called once, before [`Self::committed`]
    /// if they did.
    fn uncertain(&self, commands: &[Command]);
}

/// What came of a write with an idempotency key.
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
        observer: Arc<dyn CommitObserver>,
        metrics: Metrics,
        fatal: FatalSignal,
    ) -> Result<Self, StoreError> {
        let lanes = lanes.clamp(1, store.max_lanes());
        let limits = QueueLimits {
            batch_commands: settings.batch_commands,
            batch_bytes: settings.batch_bytes,
            queue_commands: settings.queue_commands,
            queue_bytes: settings.queue_bytes,
            max_wait: Duration::from_millis(settings.queue_age_ms),
        };
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
            let (observer, metrics, back) = (observer.clone(), metrics.clone(), mailbox.clone());
            let guard = fatal.guard("a writer lane");
            Arbiter::new().spawn(async move {
                let idle = move |ended| {
                    if let Err(error) = back.offer(LaneIdle { lane, ended }) {
                        tracing::error!(lane, %error, "a lane could not report");
                    }
                };
                lane::run(writer, receiver, observer, metrics, idle).await;
                guard.disarm();
                actix::prelude::Arbiter::current().stop();
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
        match self.write(Box::new(Keyed { key, status, body, action: write.into() })).await? {
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
        let command = Command { id: CommandId::generate(), at: Timestamp::now(), action: write };
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
