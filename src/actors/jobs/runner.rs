//! The work of each job: commands to the writers, one after the other, each small enough that orders have their turn between
//! two of them.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    Analyze, ClaimJob, EndJob, Expirable, HeldJob, IndexOrders, JobClaim, MaintenanceProgress, Outcome,
    Purge, RowKey, Sweep, Sweepable, TakeInOrders, WriteOfJob, WriteRequest,
};
use crate::storage::{Checkpoint, Store};

use super::super::persistence::{Persistence, SubmitError};
use super::job::{JobName, JobOutcome};
use super::settings::RetentionSettings;

/// Rows deleted in one command: a few milliseconds of a writer, between which orders have their turn.
const PURGE_ROWS: u32 = 500;

/// Orders indexed in one command: each is written anew.
const INDEX_ROWS: u32 = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long a job is a node's after each of its writes: more than one waits for its place and takes.
const LEASE: Duration = Duration::from_secs(30);

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub(super) struct JobRunner {
    pub(super) store: Arc<dyn Store>,
    pub(super) persistence: Persistence,
    pub(super) node: NodeId,
    pub(super) settings: RetentionSettings,
}

/// The end of a job before it is done.
enum Halt {
    /// Another node has it.
    Lost,
    /// The cause.
    Failed(String),
}

impl From<SubmitError> for Halt {
    fn from(error: SubmitError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Result<u64, Halt>> for JobOutcome {
    fn from(result: Result<u64, Halt>) -> Self {
        match result {
            Ok(rows) => Self::Done(rows),
            Err(Halt::Lost) => Self::Lost,
            Err(Halt::Failed(cause)) => Self::Failed(cause),
        }
    }
}

impl JobRunner {
    /// Runs a job to its end, unless another node runs it or has done so.
    pub(super) async fn run(self, name: JobName) -> JobOutcome {
        let (job, node) = (name.as_str(), self.node);
        let claim = ClaimJob { job, node, period: name.period(), lease: LEASE };
        let fence = match self.persistence.write(claim).await {
            Ok(JobClaim::Taken(fence)) => fence,
            Ok(JobClaim::Later(millis)) => return JobOutcome::Elsewhere(Duration::from_millis(millis)),
            Err(error) => return JobOutcome::Failed(error.to_string()),
        };
        let (began, held) = (Instant::now(), HeldJob { job, fence, lease: LEASE });
        let outcome = HeldRun { runner: &self, held }.work(name).await;
        if outcome != JobOutcome::Lost {
            self.note(name, held, &outcome, began.elapsed()).await;
        }
        outcome
    }

    /// Notes the end of a run. Without the note the job's lease runs out and it is due for every node.
    async fn note(&self, name: JobName, held: HeldJob, outcome: &JobOutcome, took: Duration) {
        let (rows, error) = match outcome {
            JobOutcome::Done(rows) => (Some(*rows), None),
            JobOutcome::Failed(cause) => (None, Some(cause.clone())),
            JobOutcome::Busy | JobOutcome::Lost | JobOutcome::Elsewhere(_) => (None, None),
        };
        let (due_in, outcome) = (outcome.pause(name), outcome.as_str());
        let end = EndJob { held, due_in, took, outcome, rows, error };
        if let Err(error) = self.persistence.write(Box::new(end)).await {
            tracing::debug!(job = name.as_str(), %error, "the end of a job could not be noted");
        }
    }
}

/// A job that is this node's while its fence is the newest: every write names it.
struct HeldRun<'a> {
    runner: &'a JobRunner,
    held: HeldJob,
}

impl HeldRun<'_> {
    async fn work(&self, name: JobName) -> JobOutcome {
        if name == JobName::Checkpoint {
            // Of a file, which is one hub's.
            return match self.runner.store.checkpoint().await {
                Ok(Checkpoint::Done) => JobOutcome::Done(0),
                Ok(Checkpoint::Busy) => JobOutcome::Busy,
                Err(error) => JobOutcome::Failed(error.to_string()),
            };
        }
        self.steps(name).await.into()
    }

    /// One write, unless another node has the job.
    async fn write<W: WriteRequest>(&self, write: W) -> Result<W::Output, Halt> {
        let step = Box::new(WriteOfJob { held: self.held, write: write.into() });
        match self.runner.persistence.write(step).await? {
            Outcome::JobLost => Err(Halt::Lost),
            outcome => W::output(outcome)
                .map_err(|other| Halt::Failed(format!("an outcome of another kind: {other:?}"))),
        }
    }

    /// Jobs of the writers; gives the rows deleted.
    async fn steps(&self, name: JobName) -> Result<u64, Halt> {
        let settings = &self.runner.settings;
        let by_days = |what, days: u32| self.purge(what, DAY * days);
        match name {
            JobName::ExpiredTickets => self.purge(Expirable::Tickets, DAY).await,
            JobName::ExpiredSessions => self.purge(Expirable::Sessions, DAY).await,
            JobName::IdempotencyKeys => self.purge(Expirable::IdempotencyKeys, DAY).await,
            JobName::Commands => self.purge(Expirable::Commands, DAY).await,
            JobName::RoomEvents => by_days(Expirable::RoomEvents, settings.room_events_days).await,
            JobName::ControlEvents => self.purge(Expirable::ControlEvents, DAY).await,
            JobName::Notifications => by_days(Expirable::Notifications, settings.notifications_days).await,
            JobName::Invitations => self.purge(Expirable::Invitations, Duration::ZERO).await,
            JobName::DeviceMarks => by_days(Expirable::DeviceMarks, settings.room_events_days).await,
            JobName::OrderAcks => by_days(Expirable::OrderAcks, settings.room_events_days).await,
            JobName::OrderSagas => by_days(Expirable::OrderSagas, settings.room_events_days).await,
            JobName::Intents => by_days(Expirable::Intents, settings.intents_days).await,
            JobName::PaymentMessages => {
                by_days(Expirable::PaymentMessages, settings.payment_messages_days).await
            }
            JobName::DeadLetters => by_days(Expirable::DeadLetters, settings.payment_messages_days).await,
            JobName::Offers => by_days(Expirable::Offers, settings.deliveries_days).await,
            JobName::DeliverySteps => by_days(Expirable::DeliverySteps, settings.deliveries_days).await,
            JobName::ReachLeases => self.purge(Expirable::ReachLeases, HOUR).await,
            JobName::Nodes => self.purge(Expirable::Nodes, HOUR).await,
            JobName::Holds => self.purge(Expirable::Holds, DAY).await,
            JobName::Audit => by_days(Expirable::Audit, settings.audit_days).await,
            JobName::Devices => by_days(Expirable::Devices, settings.room_events_days).await,
            JobName::DeviceAcks => self.sweep(Sweepable::DeviceAcks, DAY * settings.room_events_days).await,
            JobName::OrderCounters => self.sweep(Sweepable::OrderCounters, DAY * 7).await,
            JobName::OrderSearch => self.index_orders().await,
            JobName::OrderDeadlines => self.take_in_orders().await,
            JobName::Analyze => self.write(Analyze).await.map(|()| 0),
            JobName::Checkpoint => Ok(0),
        }
    }

    /// Deletes what is older than `age`, command by command until nothing is left of it.
    async fn purge(&self, what: Expirable, age: Duration) -> Result<u64, Halt> {
        let before = Timestamp::now().minus(age);
        let mut deleted = 0;
        loop {
            let rows = self.write(Purge { what, before, limit: PURGE_ROWS }).await?;
            deleted += rows;
            if rows < u64::from(PURGE_ROWS) {
                return Ok(deleted);
            }
        }
    }

    /// Goes through all rows of `what` and deletes those older than `age`.
    async fn sweep(&self, what: Sweepable, age: Duration) -> Result<u64, Halt> {
        let before = Timestamp::now().minus(age);
        let (mut deleted, mut after) = (0, None);
        loop {
            let step = Sweep { what, before, after, limit: PURGE_ROWS };
            let MaintenanceProgress { changed, last } = self.write(step).await?;
            deleted += changed;
            let Some(last) = last else { return Ok(deleted) };
            after = Some(RowKey::of_text(&last));
        }
    }

    /// Makes all orders due that have no deadlines. Nothing is deleted by that.
    async fn take_in_orders(&self) -> Result<u64, Halt> {
        while self.write(TakeInOrders { limit: PURGE_ROWS }).await?.last.is_some() {}
        Ok(0)
    }

    /// Puts all orders into the text index that are not in it. Nothing is deleted by that.
    async fn index_orders(&self) -> Result<u64, Halt> {
        while self.write(IndexOrders { limit: INDEX_ROWS }).await?.last.is_some() {}
        Ok(0)
    }
}
