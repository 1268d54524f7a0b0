//! The actor of the sweep: reads what is due and submits it, once a second.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use futures_util::{StreamExt as _, stream};

use crate::actors::deadlines::{Deadline, Deadlines};
use crate::actors::persistence::SubmitError;
use crate::domain::ids::OrderId;
use crate::storage::{DueDeadline, DuePosition, Store};

use super::messages::{Stop, SweepNow};
use super::state::{SweepAction, SweepState, Swept};

/// Pause between two sweeps, from the end of one to the begin of the next.
const EVERY: Duration = Duration::from_secs(1);

/// What has been due for less is left to the saga of the node that committed last.
const OLDER_THAN: Duration = Duration::from_millis(500);

/// Deadlines read at once.
pub(super) const PAGE: usize = 500;

pub(super) struct SweepActor {
    state: SweepState,
    store: Arc<dyn Store>,
    deadlines: Deadlines,
}

impl SweepActor {
    pub(super) fn new(store: Arc<dyn Store>, deadlines: Deadlines) -> Self {
        Self { state: SweepState::new(PAGE), store, deadlines }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let action = self.state.on_tick(Instant::now());
        self.perform(action, ctx);
    }

    fn perform(&mut self, action: SweepAction, ctx: &mut Context<Self>) {
        match action {
            SweepAction::Read(after) => self.read(after, ctx),
            SweepAction::Fire(due) => self.fire(due, ctx),
            SweepAction::Wait => {}
        }
    }

    fn read(&self, after: Option<DuePosition>, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let page = async move { store.due_deadlines(OLDER_THAN, after, PAGE as u32).await }.into_actor(self);
        ctx.spawn(page.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "what is due could not be read"));
            let action = actor.state.on_page(page.ok());
            actor.perform(action, ctx);
        }));
    }

    fn fire(&self, due: Vec<DueDeadline>, ctx: &mut Context<Self>) {
        let deadlines = self.deadlines.clone();
        let all = async move {
            let each = due.into_iter().map(|due| fire_one(&deadlines, due));
            stream::iter(each).buffer_unordered(PAGE).collect::<Vec<_>>().await
        };
        ctx.spawn(all.into_actor(self).map(|swept, actor, ctx| {
            let now = Instant::now();
            for (order, attempt, swept) in swept {
                actor.state.on_swept(order, attempt, swept, now);
            }
            let action = actor.state.on_page_done();
            actor.perform(action, ctx);
        }));
    }
}

async fn fire_one(deadlines: &Deadlines, due: DueDeadline) -> (OrderId, i64, Swept) {
    let DueDeadline { order, business, attempt, .. } = due;
    let swept = match deadlines.fire(Deadline { order, business, attempt }).await {
        Ok(left) if left.is_readable() => Swept::Done,
        Ok(_) | Err(SubmitError::Refused | SubmitError::TooSlow) => Swept::InVain,
        Err(SubmitError::Overloaded | SubmitError::Unavailable | SubmitError::OutcomeUnknown) => Swept::Later,
    };
    (order, attempt, swept)
}

impl Actor for SweepActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick(ctx);
        ctx.run_interval(EVERY, Self::tick);
    }
}

impl Handler<SweepNow> for SweepActor {
    type Result = ();

    fn handle(&mut self, _: SweepNow, ctx: &mut Self::Context) {
        let action = self.state.on_asked(Instant::now());
        self.perform(action, ctx);
    }
}

impl Handler<Stop> for SweepActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
