//! The actor of background jobs: runs the job that its state names, then asks again.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::time::{Duration, Instant};

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::domain::time::{ClockWatch, Timestamp};
use crate::telemetry::Metrics;

use super::job::{JobName, JobOutcome};
use super::messages::{ListDue, Stop};
use super::runner::JobRunner;
use super::state::{Jitter, JobsState, NextJob};

/// Pause between comparisons of the wall clock with the time that has passed.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(10);

pub(super) struct JobsActor {
    state: JobsState,
    clock: ClockWatch,
    runner: JobRunner,
    metrics: Metrics,
}

impl JobsActor {
    pub(super) fn new(runner: JobRunner, metrics: Metrics) -> Self {
        let now = Instant::now();
        let clock = ClockWatch::new(now, Timestamp::now());
        Self { state: JobsState::new(now, draw_jitter), clock, runner, metrics }
    }

    /// Logs steps of the wall clock, which explain other lines of the log.
    fn watch_clock(&mut self, _: &mut Context<Self>) {
        if let Some(step) = self.clock.check(Instant::now(), Timestamp::now()) {
            let (seconds, direction) = (step.by.as_secs(), step.direction.as_str());
            tracing::warn!(seconds, direction, "the clock of this machine was set");
        }
    }

    fn run_next(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        match self.state.next(now) {
            NextJob::Busy => {}
            NextJob::WaitUntil(at) => {
                ctx.run_later(at.saturating_duration_since(now), Self::run_next);
            }
            NextJob::Run(name) => {
                let work = self.runner.clone().run(name).into_actor(self);
                ctx.spawn(work.map(move |outcome, actor, ctx| {
                    actor.ended(name, outcome);
                    actor.run_next(ctx);
                }));
            }
        }
    }

    fn ended(&mut self, name: JobName, outcome: JobOutcome) {
        let took = self.state.ended(&outcome, Instant::now(), draw_jitter());
        if matches!(outcome, JobOutcome::Elsewhere(_)) {
            return;
        }
        self.metrics.jobs_total.with_label_values(&[name.as_str(), outcome.as_str()]).inc();
        match &outcome {
            JobOutcome::Done(0) => {}
            JobOutcome::Done(rows) => {
                self.metrics.job_rows_deleted_total.with_label_values(&[name.as_str()]).inc_by(*rows);
                tracing::info!(job = name.as_str(), rows, "rows past their time were deleted");
            }
            JobOutcome::Busy => {
                tracing::warn!(job = name.as_str(), "a job was blocked by other work; it is tried again")
            }
            JobOutcome::Failed(cause) => {
                tracing::warn!(job = name.as_str(), cause, "a job failed and is tried again")
            }
            JobOutcome::Lost => {
                tracing::warn!(job = name.as_str(), "another node has taken over a job that took too long")
            }
            JobOutcome::Elsewhere(_) => {}
        }
        self.metrics.job_seconds.with_label_values(&[name.as_str()]).observe(took.as_secs_f64());
    }
}

/// Without random numbers jobs run a little sooner, which does no harm.
fn draw_jitter() -> Jitter {
    Jitter::of(getrandom::u32().unwrap_or(0))
}

impl Actor for JobsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.run_next(ctx);
        ctx.run_interval(LOOK_AT_CLOCK_EVERY, Self::watch_clock);
    }
}

impl Handler<ListDue> for JobsActor {
    type Result = ();

    fn handle(&mut self, ListDue { reply }: ListDue, _: &mut Self::Context) {
        // The caller may have stopped waiting.
        let _ = reply.send(self.state.due(Instant::now(), Timestamp::now()));
    }
}

impl Handler<Stop> for JobsActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
