//! The actor of the sweep: reads what is due and submits it, once a second.

use std::time::Instant;

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use futures_util::{StreamExt as _, stream};

use crate::actors::deadlines::Deadlines;
use crate::actors::persistence::SubmitError;
use crate::actors::pulse::Pulse;
use crate::storage::DuePlace;
use crate::storage::commands::{FireDeadline, FireOutcome};

use super::messages::{Stop, SweepNow};
use super::settings::SweepSettings;
use super::state::{SweepAction, SweepState, Swept};

pub(super) struct SweepActor {
    state: SweepState,
    deadlines: Deadlines,
    settings: SweepSettings,
    /// Beats when it waits for nothing, and with each answer.
    pulse: Pulse,
}

impl SweepActor {
    pub(super) fn new(deadlines: Deadlines, settings: SweepSettings, pulse: Pulse) -> Self {
        Self { state: SweepState::new(settings.page as usize), deadlines, settings, pulse }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.pulse.is_replaced() {
            ctx.stop();
            return;
        }
        let action = self.state.on_tick(Instant::now());
        self.perform(action, ctx);
    }

    fn perform(&mut self, action: SweepAction, ctx: &mut Context<Self>) {
        // Waiting is for the answer that is under way, after which it beats.
        if action != SweepAction::Wait || self.state.is_idle() {
            self.pulse.beat();
        }
        match action {
            SweepAction::Read(after) => self.read(after, ctx),
            SweepAction::Fire(due) => self.fire(due, ctx),
            SweepAction::Wait => {}
        }
    }

    fn read(&self, after: Option<DuePlace>, ctx: &mut Context<Self>) {
        let (deadlines, settings) = (self.deadlines.clone(), self.settings);
        let page =
            async move { deadlines.due(settings.older_than, after, settings.page).await }.into_actor(self);
        ctx.spawn(page.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "what is due could not be read"));
            let action = actor.state.on_page(page.ok());
            actor.perform(action, ctx);
        }));
    }

    fn fire(&self, due: Vec<FireDeadline>, ctx: &mut Context<Self>) {
        let (deadlines, at_once) = (self.deadlines.clone(), self.settings.page as usize);
        let all = async move {
            let each = due.into_iter().map(|deadline| fire_one(&deadlines, deadline));
            stream::iter(each).buffer_unordered(at_once.max(1)).collect::<Vec<_>>().await
        };
        ctx.spawn(all.into_actor(self).map(|swept, actor, ctx| {
            let now = Instant::now();
            for (deadline, swept) in swept {
                actor.state.on_swept(deadline, swept, now);
            }
            let action = actor.state.on_page_done();
            actor.perform(action, ctx);
        }));
    }
}

async fn fire_one(deadlines: &Deadlines, deadline: FireDeadline) -> (FireDeadline, Swept) {
    let swept = match deadlines.fire(deadline).await {
        Ok(FireOutcome { report: Some(_), .. }) => Swept::Done,
        // Another node has fired it, or it was written since.
        Ok(FireOutcome { left: Some(left), .. }) if left.attempt != deadline.attempt => Swept::Done,
        Ok(_) | Err(SubmitError::Refused) => Swept::InVain,
        Err(
            SubmitError::Overloaded
            | SubmitError::Unavailable
            | SubmitError::TooSlow
            | SubmitError::OutcomeUnknown,
        ) => Swept::Later,
    };
    (deadline, swept)
}

impl Actor for SweepActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick(ctx);
        ctx.run_interval(self.settings.every, Self::tick);
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
