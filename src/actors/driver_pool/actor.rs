//! The actor of a zone's pool: reads its drivers, and writes the waves that it proposes.

use std::sync::Arc;

use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::bus::Bus;
use crate::domain::dispatch::DispatchRules;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::domain::zone::ZoneName;
use crate::fail_point;
use crate::storage::Store;

use super::super::persistence::Persistence;
use super::messages::PoolMessage;
use super::settings::{LOAD_AGAIN, MAX_DRIVERS, RELOAD_EVERY};
use super::state::{PoolAction, PoolState, Proposal};

/// What a pool works with.
#[derive(Clone)]
pub(super) struct PoolDeps {
    pub(super) store: Arc<dyn Store>,
    pub(super) persistence: Persistence,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) rules: Arc<DispatchRules>,
}

pub(super) struct PoolActor {
    zone: String,
    state: PoolState,
    deps: PoolDeps,
}

impl PoolActor {
    pub(super) fn new(zone: String, deps: PoolDeps) -> Self {
        let state = PoolState::new(zone.clone(), deps.rules.clone());
        Self { zone, state, deps }
    }

    fn now(&self) -> Timestamp {
        self.deps.store.clock().now()
    }

    fn perform(&mut self, action: PoolAction, ctx: &mut Context<Self>) {
        match action {
            PoolAction::Load => self.read(ctx),
            PoolAction::Open(proposal) => self.open(*proposal, ctx),
        }
    }

    fn read(&self, ctx: &mut Context<Self>) {
        let (store, zone) = (self.deps.store.clone(), self.zone.clone());
        let read = async move { store.pool_of(&zone, MAX_DRIVERS).await };
        ctx.spawn(read.into_actor(self).map(|read, actor, ctx| {
            let zone = &actor.zone;
            let read = read
                .inspect_err(|error| tracing::warn!(%error, zone, "the drivers of a zone could not be read"));
            let has_failed = read.is_err();
            let now = actor.now();
            for action in actor.state.loaded(read.ok(), now) {
                actor.perform(action, ctx);
            }
            if has_failed {
                ctx.run_later(LOAD_AGAIN, Self::reload);
            }
        }));
    }

    fn reload(&mut self, ctx: &mut Context<Self>) {
        if let Some(zone) = ZoneName::learn(&self.zone) {
            // The room of the zone may have left it.
            self.deps.bus.subscribe(RoomId::Zone(zone));
        }
        if let Some(action) = self.state.load() {
            self.perform(action, ctx);
        }
    }

    fn open(&self, proposal: Proposal, ctx: &mut Context<Self>) {
        fail_point::reach("wave_ranked");
        let (persistence, wave) = (self.deps.persistence.clone(), Box::new(proposal.wave.clone()));
        let written = async move { persistence.write(wave).await };
        ctx.spawn(written.into_actor(self).map(move |written, actor, ctx| {
            let order = proposal.wave.order;
            let asked = written
                .inspect_err(|error| tracing::warn!(%error, %order, "a wave of offers could not be opened"))
                .ok();
            let now = actor.now();
            if let Some(action) = actor.state.opened(proposal, asked, now) {
                actor.perform(action, ctx);
            }
        }));
    }
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.reload(ctx);
        ctx.run_interval(RELOAD_EVERY, Self::reload);
    }
}

impl Handler<PoolMessage> for PoolActor {
    type Result = ();

    fn handle(&mut self, message: PoolMessage, ctx: &mut Self::Context) {
        let now = self.now();
        match message {
            PoolMessage::Look(look) => {
                if let Some(action) = self.state.look(*look, now) {
                    self.perform(action, ctx);
                }
            }
            PoolMessage::Now(written) => self.state.written(&written, now),
            PoolMessage::Asked(driver) => self.state.asked(driver, now),
            PoolMessage::Unasked(driver) => self.state.unasked(driver, now),
            PoolMessage::Moved(driver, position) => self.state.moved(driver, position, now),
            PoolMessage::Changed(drivers) => self.state.changed(&drivers, now),
            PoolMessage::Stop => ctx.stop(),
            #[cfg(test)]
            PoolMessage::Break => panic!("on purpose"),
        }
    }
}
