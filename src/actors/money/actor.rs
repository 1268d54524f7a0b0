//! The worker of money: reads what is due, and lets it be worked on, so much at a time.

use std::time::Instant;

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::actors::work_list::WorkList;
use crate::domain::hold::HeldAction;
use crate::storage::cache::CurrentHolds;
use crate::storage::{DueMessage, DueRefund, PaymentToAsk};
use crate::telemetry::Metrics;

use super::messages::{MoneyDue, Stop};
use super::settings::{COUNT_EVERY, LOOK_EVERY};
use super::state::MoneyState;
use super::work::{Work, Worked};

pub(super) struct MoneyActor {
    state: MoneyState,
    work: Work,
    holds: CurrentHolds,
    metrics: Metrics,
    counted: Option<Instant>,
}

impl MoneyActor {
    pub(super) fn new(work: Work, holds: CurrentHolds, metrics: Metrics) -> Self {
        Self { state: MoneyState::new(), work, holds, metrics, counted: None }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if let Some(page) = self.state.messages.on_due() {
            self.read_messages(page, ctx);
        }
        if let Some(page) = self.state.asks.on_due() {
            self.read_asks(page, ctx);
        }
        // While the provider is away no attempt is spent; one that is let through shows whether it is back.
        if self.work.payments.takes_calls()
            && let Some(page) = self.state.refunds.on_due()
        {
            self.read_refunds(page, ctx);
        }
        if let Some(page) = self.state.late.on_due() {
            self.read_late(page, ctx);
        }
    }

    fn read_messages(&self, page: u32, ctx: &mut Context<Self>) {
        let store = self.work.store.clone();
        let read = async move { store.due_messages(store.clock().now(), page).await }.into_actor(self);
        ctx.spawn(read.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "messages could not be read")).ok();
            let now = actor.work.store.clock().now();
            for message in
                actor.state.messages.on_page(page, |message: &DueMessage| message.id, |_| false, now)
            {
                let (id, work) = (message.id, actor.work.clone());
                ctx.spawn(work.message(message).into_actor(actor).map(move |worked, actor, ctx| {
                    if let Some(page) = actor.state.messages.after(id, worked, &actor.work) {
                        actor.read_messages(page, ctx);
                    }
                }));
            }
        }));
    }

    fn read_asks(&self, page: u32, ctx: &mut Context<Self>) {
        let store = self.work.store.clone();
        let read = async move { store.payments_to_ask(store.clock().now(), page).await }.into_actor(self);
        ctx.spawn(read.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "payments could not be read")).ok();
            let now = actor.work.store.clock().now();
            for asked in actor.state.asks.on_page(page, |asked: &PaymentToAsk| asked.payment, |_| false, now)
            {
                let (id, work) = (asked.payment, actor.work.clone());
                ctx.spawn(work.ask(asked).into_actor(actor).map(move |worked, actor, ctx| {
                    if let Some(page) = actor.state.asks.after(id, worked, &actor.work) {
                        actor.read_asks(page, ctx);
                    }
                }));
            }
        }));
    }

    fn read_refunds(&self, page: u32, ctx: &mut Context<Self>) {
        let store = self.work.store.clone();
        let read = async move { store.due_refunds(store.clock().now(), page).await }.into_actor(self);
        ctx.spawn(read.map(|page, actor, ctx| {
            let page = page.inspect_err(|error| tracing::warn!(%error, "refunds could not be read")).ok();
            let (now, holds) = (actor.work.store.clock().now(), actor.holds.clone());
            let is_held =
                |due: &DueRefund| holds.over(HeldAction::Refunds, due.business, &due.zone, now).is_some();
            for due in actor.state.refunds.on_page(page, |due: &DueRefund| due.refund, is_held, now) {
                let (id, work) = (due.refund, actor.work.clone());
                ctx.spawn(work.refund(due).into_actor(actor).map(move |worked, actor, ctx| {
                    if let Some(page) = actor.state.refunds.after(id, worked, &actor.work) {
                        actor.read_refunds(page, ctx);
                    }
                }));
            }
        }));
    }

    fn read_late(&self, page: u32, ctx: &mut Context<Self>) {
        let store = self.work.store.clone();
        let read = async move { store.late_refunds(store.clock().now(), page).await }.into_actor(self);
        ctx.spawn(read.map(|page, actor, ctx| {
            let page =
                page.inspect_err(|error| tracing::warn!(%error, "late refunds could not be read")).ok();
            let now = actor.work.store.clock().now();
            for late in actor.state.late.on_page(page, |late: &DueRefund| late.refund, |_| false, now) {
                let (id, work) = (late.refund, actor.work.clone());
                ctx.spawn(work.late(late).into_actor(actor).map(move |worked, actor, ctx| {
                    if let Some(page) = actor.state.late.after(id, worked, &actor.work) {
                        actor.read_late(page, ctx);
                    }
                }));
            }
        }));
    }

    /// Counts what waits, for the metrics.
    fn count(&mut self, ctx: &mut Context<Self>) {
        if self.counted.is_some_and(|last| last.elapsed() < COUNT_EVERY) {
            return;
        }
        self.counted = Some(Instant::now());
        let store = self.work.store.clone();
        let counted = async move { (store.open_dead_letters().await, store.waiting_messages().await) };
        ctx.spawn(counted.into_actor(self).map(|(letters, messages), actor, _| {
            if let (Ok(letters), Ok(messages)) = (letters, messages) {
                actor.metrics.dead_letters.set(i64::from(letters));
                actor.metrics.webhook_queue_depth.set(i64::from(messages));
            }
        }));
    }
}

impl<K: Copy + Eq + std::hash::Hash> WorkList<K> {
    /// Work on a row has ended: how many rows the actor has to read now, if any.
    fn after(&mut self, id: K, worked: Worked, work: &Work) -> Option<u32> {
        match worked {
            Worked::Done => self.on_done(id),
            Worked::Left => {
                self.on_left(id, work.store.clock().now());
                None
            }
        }
    }
}

impl Actor for MoneyActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(LOOK_EVERY, |actor, ctx| {
            actor.look(ctx);
            actor.count(ctx);
        });
    }
}

impl Handler<MoneyDue> for MoneyActor {
    type Result = ();

    fn handle(&mut self, _: MoneyDue, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<Stop> for MoneyActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
