//! The dispatcher of intents.

use std::sync::Arc;

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::actors::persistence::Persistence;
use crate::outbound::{AlertCall, CallError, Channels};
use crate::storage::commands::{BeginIntent, FinishIntent, IntentResult};
use crate::storage::{DueIntent, Store};
use crate::telemetry::Metrics;

use super::messages::{IntentsDue, Stop};
use super::settings::{BEGUN_FOR, CALL_WITHIN, INTENTS, LOOK_EVERY};
use super::state::{IntentStep, IntentsState, result};

pub(super) struct IntentsActor {
    state: IntentsState,
    store: Arc<dyn Store>,
    persistence: Persistence,
    channels: Channels,
    metrics: Metrics,
}

impl IntentsActor {
    pub(super) fn new(
        store: Arc<dyn Store>,
        persistence: Persistence,
        channels: Channels,
        metrics: Metrics,
    ) -> Self {
        Self { state: IntentsState::new(INTENTS), store, persistence, channels, metrics }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if let Some(page) = self.state.on_due() {
            self.read(page, ctx);
        }
    }

    fn read(&self, page: u32, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let page = async move { store.due_intents(store.clock().now(), page).await }.into_actor(self);
        ctx.spawn(page.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "intents could not be read")).ok();
            let (channels, now) = (actor.channels.clone(), actor.store.clock().now());
            let configured = |channel| channels.get(channel).is_some();
            for step in actor.state.on_page(page, now, configured) {
                actor.take(step, ctx);
            }
        }));
    }

    fn take(&self, step: IntentStep, ctx: &mut Context<Self>) {
        match step {
            IntentStep::End(intent, result) => self.end(intent, result, ctx),
            IntentStep::Call(intent) => {
                let answer = self.begin_and_call(intent).into_actor(self);
                ctx.spawn(answer.map(move |answer, actor, ctx| {
                    let Some(answer) = answer else {
                        actor.state.on_left(intent.id, actor.store.clock().now());
                        return;
                    };
                    let result = result(&intent, &answer, actor.store.clock().now());
                    if let Err(error) = &answer {
                        tracing::warn!(intent = %intent.id, channel = %intent.channel, %error, "a call did not work");
                    }
                    actor.end(intent, result, ctx);
                }));
            }
        }
    }

    /// Calls, unless another node is about to; `None` then, and when that is not known.
    fn begin_and_call(
        &self,
        intent: DueIntent,
    ) -> impl Future<Output = Option<Result<(), CallError>>> + use<> {
        let (persistence, channels) = (self.persistence.clone(), self.channels.clone());
        let until = self.store.clock().now().plus(BEGUN_FOR);
        async move {
            let begin = BeginIntent { intent: intent.id, due_at: intent.due_at, until };
            match persistence.write(begin).await {
                Ok(true) => Some(call(channels, intent).await),
                Ok(false) => None,
                Err(error) => {
                    tracing::warn!(intent = %intent.id, %error, "an intent was not begun");
                    None
                }
            }
        }
    }

    /// Writes what came of it. What cannot be written stays due, and the call is made again with the same key.
    fn end(&self, intent: DueIntent, result: IntentResult, ctx: &mut Context<Self>) {
        let persistence = self.persistence.clone();
        let written = async move { persistence.write(FinishIntent { intent: intent.id, result }).await };
        ctx.spawn(written.into_actor(self).map(move |written, actor, ctx| {
            if let Err(error) = written {
                tracing::warn!(intent = %intent.id, %error, "the end of an intent was not stored");
                actor.state.on_left(intent.id, actor.store.clock().now());
                return;
            }
            actor.report(&intent, result);
            if let Some(page) = actor.state.on_ended(intent.id) {
                actor.read(page, ctx);
            }
        }));
    }

    fn report(&self, intent: &DueIntent, result: IntentResult) {
        let (channel, rung, word) = (intent.channel.as_str(), intent.rung.as_str(), result.as_str());
        if !matches!(result, IntentResult::Retry(_)) {
            self.metrics.intents_total.with_label_values(&[channel, word]).inc();
        }
        let (business, order, waiting) = (intent.business, intent.order, intent.waiting);
        tracing::info!(%business, %order, channel, rung, waiting, result = word, "an order waits for an answer");
    }
}

async fn call(channels: Channels, intent: DueIntent) -> Result<(), CallError> {
    let Some(channel) = channels.get(intent.channel) else {
        return Err(CallError::Refused("it is not configured".to_owned()));
    };
    let DueIntent { id, business, order, rung, waiting, .. } = intent;
    let call = AlertCall { id, business, order, rung, waiting };
    let answer = tokio::time::timeout(CALL_WITHIN, channel.call(&call)).await;
    answer.unwrap_or_else(|_| Err(CallError::Unavailable("no answer in time".to_owned())))
}

impl Actor for IntentsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}

impl Handler<IntentsDue> for IntentsActor {
    type Result = ();

    fn handle(&mut self, _: IntentsDue, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<Stop> for IntentsActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
