//! The actor of an order's saga: waits for the moment that its state names, submits the deadline, and ends when nothing of the
//! order is near.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture,
};
use dashmap::DashMap;
use tokio::sync::OwnedSemaphorePermit;

use crate::actors::deadlines::{Deadlines, wait_for};
use crate::actors::mailbox::Mailbox;
use crate::domain::ids::OrderId;
use crate::storage::commands::{FireDeadline, FireOutcome};

use super::messages::{ClockMoved, Schedule};
use super::state::{Fired, OrderSagaState, SagaAction};

/// Everything that the sagas of a node share.
pub(super) struct SagaDeps {
    pub(super) registry: DashMap<OrderId, Mailbox<OrderSagaActor>>,
    pub(super) deadlines: Deadlines,
    pub(super) horizon: Duration,
}

pub(super) struct OrderSagaActor {
    deadline: FireDeadline,
    state: OrderSagaState,
    deps: Arc<SagaDeps>,
    timer: Option<SpawnHandle>,
    /// Its place among those of the node.
    _place: OwnedSemaphorePermit,
}

impl OrderSagaActor {
    /// A saga that waits for this deadline.
    pub(super) fn new(
        deadline: FireDeadline,
        due: Instant,
        deps: Arc<SagaDeps>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let state = OrderSagaState::new(deadline.attempt, due, deps.horizon);
        Self { deadline, state, deps, timer: None, _place: place }
    }

    fn perform(&mut self, action: SagaAction, ctx: &mut Context<Self>) {
        match action {
            SagaAction::WaitUntil(due) => {
                if let Some(timer) = self.timer.take() {
                    ctx.cancel_future(timer);
                }
                let wait = due.saturating_duration_since(Instant::now());
                self.timer = Some(ctx.run_later(wait, Self::look));
            }
            SagaAction::Fire(attempt) => self.fire(attempt, ctx),
            SagaAction::Continue => {}
            SagaAction::Stop => {
                // What a commit leaves between the two is found by the sweep.
                self.deps.registry.remove(&self.deadline.order);
                ctx.stop();
            }
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        let action = self.state.on_timer(Instant::now());
        self.perform(action, ctx);
    }

    fn fire(&mut self, attempt: i64, ctx: &mut Context<Self>) {
        let deadline = FireDeadline { attempt, ..self.deadline };
        let deadlines = self.deps.deadlines.clone();
        let answer = async move { deadlines.fire(deadline).await }.into_actor(self);
        ctx.spawn(answer.map(move |answer, actor, ctx| {
            let now = Instant::now();
            let fired = match answer {
                Ok(FireOutcome { left: Some(left), now: at, .. }) => {
                    let due = wait_for(&left, at).map(|wait| now + wait);
                    Fired::Left(Schedule { attempt: left.attempt, due })
                }
                Ok(FireOutcome { left: None, .. }) | Err(_) => Fired::Unknown,
            };
            let action = actor.state.on_fired(attempt, fired, now);
            actor.perform(action, ctx);
        }));
    }
}

impl Actor for OrderSagaActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<Schedule> for OrderSagaActor {
    type Result = ();

    fn handle(&mut self, schedule: Schedule, ctx: &mut Self::Context) {
        let action = self.state.on_schedule(schedule, Instant::now());
        self.perform(action, ctx);
    }
}

impl Handler<ClockMoved> for OrderSagaActor {
    type Result = ();

    fn handle(&mut self, ClockMoved { by }: ClockMoved, ctx: &mut Self::Context) {
        let action = self.state.on_clock_moved(by, Instant::now());
        self.perform(action, ctx);
    }
}
