//! The persistence actor: a shell that hands batches from its queues to idle lanes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{Actor, ActorContext, AsyncContext, Context, Handler};
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::Metrics;

use super::super::fatal::FatalGuard;
use super::backlog::Backlog;
use super::errors::SubmitError;
use super::limits::QueueLimits;
use super::messages::{BatchEnd, Drain, Job, LaneIdle, Submit};
use super::queued_command::Waiting;
use super::state::{Fill, LaneQueue, Refusal};

/// Pause between searches for commands whose deadline has passed, while every lane is busy.
const EXPIRY_TICK: Duration = Duration::from_millis(50);

struct LaneSlot {
    queue: LaneQueue<Job>,
    batches: mpsc::Sender<Vec<Job>>,
    busy: Busy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Busy {
    /// Its batch was given to it then, and was so large.
    Since(Instant, Fill),
    Idle,
}

pub(super) struct PersistenceActor {
    lanes: Vec<LaneSlot>,
    backlog: Arc<Backlog>,
    metrics: Metrics,
    draining: Option<oneshot::Sender<()>>,
    /// Raised when the actor goes without having been drained.
    guard: Option<FatalGuard>,
}

impl PersistenceActor {
    pub(super) fn new(
        lanes: Vec<mpsc::Sender<Vec<Job>>>,
        limits: QueueLimits,
        backlog: Arc<Backlog>,
        metrics: Metrics,
        guard: FatalGuard,
    ) -> Self {
        let slot = |batches| LaneSlot { queue: LaneQueue::new(limits), batches, busy: Busy::Idle };
        let lanes = lanes.into_iter().map(slot).collect();
        Self { lanes, backlog, metrics, draining: None, guard: Some(guard) }
    }

    fn start_batch(&mut self, lane: usize) {
        let Some(slot) = self.lanes.get_mut(lane) else { return };
        if slot.busy == Busy::Idle && slot.queue.len() > 0 {
            // An idle lane's channel has room for the one batch it is given.
            let batch = slot.queue.take_batch();
            let fill = if slot.queue.len() > 0 { Fill::Full } else { Fill::Partial(batch.len()) };
            match slot.batches.try_send(batch) {
                Ok(()) => slot.busy = Busy::Since(Instant::now(), fill),
                Err(mpsc::error::TrySendError::Full(jobs) | mpsc::error::TrySendError::Closed(jobs)) => {
                    for job in jobs {
                        job.waiter.answer(Err(SubmitError::Unavailable));
                    }
                }
            }
        }
        self.backlog.set(lane, slot.queue.oldest(), slot.queue.expected());
        self.metrics.persistence_queue_depth.set(self.lanes.iter().map(|l| l.queue.len() as i64).sum());
    }

    fn stop_when_drained(&mut self, ctx: &mut Context<Self>) {
        if self.draining.is_some() && self.lanes.iter().all(|l| l.busy == Busy::Idle && l.queue.len() == 0) {
            if let Some(done) = self.draining.take() {
                let _ = done.send(());
            }
            if let Some(guard) = self.guard.take() {
                guard.disarm();
            }
            ctx.stop();
        }
    }
}

impl Actor for PersistenceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(EXPIRY_TICK, |actor, ctx| {
            let now = Instant::now();
            if let Some(guard) = &actor.guard {
                guard.beat();
            }
            for (n, lane) in actor.lanes.iter_mut().enumerate() {
                for job in lane.queue.expire(now) {
                    job.waiter.answer(Err(SubmitError::Unavailable));
                }
                actor.backlog.set(n, lane.queue.oldest(), lane.queue.expected());
            }
            actor.stop_when_drained(ctx);
        });
    }
}

impl Handler<Submit> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) {
        let now = Instant::now();
        let Submit { job, lane, class, key, bytes, deadline } = submit;
        if self.draining.is_some() {
            job.waiter.answer(Err(SubmitError::Unavailable));
            return;
        }
        let lane = lane % self.lanes.len();
        let waiting = Waiting { payload: job, class, key, bytes, queued_at: now, deadline };
        match self.lanes[lane].queue.push(waiting, now) {
            Ok(()) => self.start_batch(lane),
            Err((job, Refusal::Full | Refusal::TooLong)) => {
                job.waiter.answer(Err(SubmitError::Overloaded));
            }
        }
    }
}

impl Handler<LaneIdle> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, LaneIdle { lane, ended }: LaneIdle, ctx: &mut Self::Context) {
        if let Some(slot) = self.lanes.get_mut(lane)
            && let Busy::Since(then, fill) = std::mem::replace(&mut slot.busy, Busy::Idle)
            && ended == BatchEnd::Committed
        {
            slot.queue.batch_took(then.elapsed(), fill);
        }
        self.start_batch(lane);
        self.stop_when_drained(ctx);
    }
}

impl Handler<Drain> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, Drain { done }: Drain, ctx: &mut Self::Context) {
        self.draining = Some(done);
        self.stop_when_drained(ctx);
    }
}
