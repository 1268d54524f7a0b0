//! The scheduler: a shell that runs the job its mind names, then asks again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture,
};
use tokio::sync::oneshot;

use crate::domain::time::{ClockWatch, Timestamp};
use crate::storage::commands::{Advanced, Purgeable, RowKey, Sweepable};
use crate::storage::{Checkpoint, Store};
use crate::telemetry::Metrics;

use super::super::persistence::Persistence;
use super::super::settings::RetentionSettings;
use super::state::{Chance, Next, Schedule};
use super::{JobName, JobOutcome, JobReport};

/// Rows deleted in one command: a few milliseconds of a writer, between which orders have their turn.
const PURGE_ROWS: u32 = 500;

/// Orders indexed in one command: each is written anew.
const INDEX_ROWS: u32 = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the wall clock is compared with the time that has passed.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(10);

/// Every job with its state.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct List {
    pub(super) reply: oneshot::Sender<Vec<JobReport>>,
}

/// The hub is going down.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

/// What jobs work with.
#[derive(Clone)]
struct Tools {
    store: Arc<dyn Store>,
    persistence: Persistence,
    settings: RetentionSettings,
    metrics: Metrics,
}

pub(super) struct Scheduler {
    schedule: Schedule,
    clock: ClockWatch,
    tools: Tools,
}

impl Scheduler {
    pub(super) fn new(
        store: Arc<dyn Store>,
        persistence: Persistence,
        settings: RetentionSettings,
        metrics: Metrics,
    ) -> Self {
        let tools = Tools { store, persistence, settings, metrics };
        let now = Instant::now();
        let clock = ClockWatch::new(now, Timestamp::now());
        Self { schedule: Schedule::new(now, draw), clock, tools }
    }

    /// A wall clock that steps explains a lot to whoever reads the log.
    fn watch_clock(&mut self, _: &mut Context<Self>) {
        if let Some(step) = self.clock.check(Instant::now(), Timestamp::now()) {
            let (seconds, direction) = (step.by.as_secs(), step.direction.as_str());
            tracing::warn!(seconds, direction, "the clock of this machine was set");
        }
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        match self.schedule.next(now, Timestamp::now()) {
            Next::Busy => {}
            Next::WaitUntil(at) => {
                ctx.run_later(at.saturating_duration_since(now), Self::go_on);
            }
            Next::Run(name) => {
                let work = self.tools.clone().run(name).into_actor(self);
                ctx.spawn(work.map(move |outcome, actor, ctx| {
                    actor.ended(name, outcome);
                    actor.go_on(ctx);
                }));
            }
        }
    }

    fn ended(&mut self, name: JobName, outcome: JobOutcome) {
        self.tools.metrics.jobs_total.with_label_values(&[name.as_str(), outcome.as_str()]).inc();
        match &outcome {
            JobOutcome::Done(0) => {}
            JobOutcome::Done(rows) => {
                self.tools.metrics.job_rows_deleted_total.with_label_values(&[name.as_str()]).inc_by(*rows);
                tracing::info!(job = name.as_str(), rows, "rows past their time were deleted");
            }
            JobOutcome::Busy => {
                tracing::warn!(job = name.as_str(), "others were in a job's way; it is tried again")
            }
            JobOutcome::Failed(cause) => {
                tracing::warn!(job = name.as_str(), cause, "a job failed and is tried again")
            }
        }
        let took = self.schedule.ended(outcome, Instant::now(), draw());
        self.tools.metrics.job_seconds.with_label_values(&[name.as_str()]).observe(took.as_secs_f64());
    }
}

/// Without random numbers jobs come a little sooner, which harms nobody.
fn draw() -> Chance {
    Chance::of(getrandom::u32().unwrap_or(0))
}

impl Tools {
    async fn run(self, name: JobName) -> JobOutcome {
        if name == JobName::Checkpoint {
            return match self.store.checkpoint().await {
                Ok(Checkpoint::Done) => JobOutcome::Done(0),
                Ok(Checkpoint::Busy) => JobOutcome::Busy,
                Err(error) => JobOutcome::Failed(error.to_string()),
            };
        }
        self.delete(name).await.map_or_else(JobOutcome::Failed, JobOutcome::Done)
    }

    /// Jobs that writers do.
    async fn delete(self, name: JobName) -> Result<u64, String> {
        let days = |days: u32| DAY * days;
        match name {
            JobName::ExpiredTickets => self.purge(Purgeable::Tickets, DAY).await,
            JobName::ExpiredSessions => self.purge(Purgeable::Sessions, DAY).await,
            JobName::IdempotencyKeys => self.purge(Purgeable::IdempotencyKeys, DAY).await,
            JobName::Commands => self.purge(Purgeable::Commands, DAY).await,
            JobName::RoomEvents => {
                self.purge(Purgeable::RoomEvents, days(self.settings.room_events_days)).await
            }
            JobName::Notifications => {
                self.purge(Purgeable::Notifications, days(self.settings.notifications_days)).await
            }
            JobName::Invitations => self.purge(Purgeable::Invitations, Duration::ZERO).await,
            JobName::DeviceMarks => {
                self.purge(Purgeable::DeviceMarks, days(self.settings.room_events_days)).await
            }
            JobName::OrderAcks => {
                self.purge(Purgeable::OrderAcks, days(self.settings.room_events_days)).await
            }
            JobName::Devices => self.purge(Purgeable::Devices, days(self.settings.room_events_days)).await,
            JobName::DeviceAcks => {
                self.sweep(Sweepable::DeviceAcks, days(self.settings.room_events_days)).await
            }
            JobName::OrderCounters => self.sweep(Sweepable::OrderCounters, days(7)).await,
            JobName::OrderSearch => self.index_orders().await,
            JobName::Analyze => self.persistence.analyze().await.map(|()| 0).map_err(|e| e.to_string()),
            JobName::Checkpoint => Ok(0),
        }
    }

    /// Deletes what is older than `age`, command by command until nothing is left of it.
    async fn purge(&self, what: Purgeable, age: Duration) -> Result<u64, String> {
        let before = Timestamp::now().minus(age);
        let mut deleted = 0;
        loop {
            let rows = self.persistence.purge(what, before, PURGE_ROWS).await.map_err(|e| e.to_string())?;
            deleted += rows;
            if rows < u64::from(PURGE_ROWS) {
                return Ok(deleted);
            }
        }
    }
}

impl Tools {
    /// Goes through all rows of `what` and deletes those older than `age`.
    async fn sweep(&self, what: Sweepable, age: Duration) -> Result<u64, String> {
        let before = Timestamp::now().minus(age);
        let (mut deleted, mut after) = (0, None);
        loop {
            let step = self.persistence.sweep(what, before, after, PURGE_ROWS).await;
            let Advanced { changed, last } = step.map_err(|e| e.to_string())?;
            deleted += changed;
            let Some(last) = last else { return Ok(deleted) };
            after = Some(RowKey::of_text(&last));
        }
    }

    /// Puts all orders into the text index that are not in it. Nothing is deleted by that.
    async fn index_orders(&self) -> Result<u64, String> {
        while self.persistence.index_orders(INDEX_ROWS).await.map_err(|e| e.to_string())?.last.is_some() {}
        Ok(0)
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.go_on(ctx);
        ctx.run_interval(LOOK_AT_CLOCK_EVERY, Self::watch_clock);
    }
}

impl Handler<List> for Scheduler {
    type Result = ();

    fn handle(&mut self, List { reply }: List, _: &mut Self::Context) {
        // Whoever asked may have stopped waiting.
        let _ = reply.send(self.schedule.reports(Instant::now(), Timestamp::now()));
    }
}

impl Handler<Stop> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
