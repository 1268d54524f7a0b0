//! The actor of a room: reads the room's position from the store, then performs the effects of [`RoomState`].

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, WrapFuture,
};

use tokio::sync::Notify;

use crate::actors::persistence::Persistence;
use crate::bus::Bus;
use crate::domain::cursor::Epoch;
use crate::domain::room::RoomId;
use crate::storage::Store;
use crate::telemetry::Metrics;

use super::listener::Listener;
use super::live_event::{History, LiveEvent};
use super::memory::RoomMemory;
use super::messages::{Join, Leave, Publish, PublishEphemeral, ReadHistory, Watermark};
use super::reaching::Reaching;
use super::registry::Registry;
use super::settings::RoomSettings;
use super::state::{Identity, Repair, RoomEffects, RoomState};

/// An event that overtook another waits this long for it before the store is asked.
const REORDER_WAIT: Duration = Duration::from_millis(20);

/// Time between two attempts to read from a store that is away.
pub(super) const STORE_RETRY: Duration = Duration::from_millis(500);

/// How often a room looks for listeners that missed something and for having been empty too long.
const TICK: Duration = Duration::from_secs(1);

/// Everything that the rooms of a node share.
#[derive(Clone)]
pub(super) struct RoomDeps {
    pub(super) registry: Registry<RoomActor>,
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    /// Gives rooms a new epoch; set once the writers run.
    pub(super) writer: Arc<OnceLock<Persistence>>,
    pub(super) memory: Arc<RoomMemory>,
    pub(super) settings: RoomSettings,
    pub(super) metrics: Metrics,
    /// Messages of other nodes were lost.
    pub(super) dirty: Arc<Notify>,
}

struct Member {
    listener: Arc<dyn Listener>,
    /// It refused an event: it gets no more of them until it has taken the room's head.
    needs_head: bool,
}

/// The progress of a repair: one at a time.
#[derive(PartialEq, Eq)]
pub(super) enum Repairing {
    Idle,
    Waiting,
    Reading,
}

/// The progress of a comparison with a store that may be an older copy.
#[derive(PartialEq, Eq)]
pub(super) enum Comparing {
    Idle,
    Reading,
    Rotating,
}

pub(super) struct RoomActor {
    pub(super) id: RoomId,
    /// `None` until the position has been read from the store; the mailbox waits so long.
    pub(super) state: Option<RoomState>,
    pub(super) deps: RoomDeps,
    pub(super) repairing: Repairing,
    pub(super) comparing: Comparing,
    pub(super) reaching: Reaching,
    members: Vec<Member>,
    empty_since: Option<Instant>,
}

impl RoomActor {
    pub(super) fn new(id: RoomId, deps: RoomDeps) -> Self {
        Self {
            id,
            state: None,
            deps,
            repairing: Repairing::Idle,
            comparing: Comparing::Idle,
            reaching: Reaching::default(),
            members: Vec::new(),
            empty_since: Some(Instant::now()),
        }
    }

    /// Reads the position, trying until the store answers; no message is handled before.
    fn load(&self, ctx: &mut Context<Self>) {
        let (store, id) = (self.deps.store.clone(), self.id);
        async move {
            loop {
                match store.head(id).await {
                    Ok(head) => return head,
                    Err(error) => tracing::warn!(room = %id, %error, "a room waits for the store"),
                }
                tokio::time::sleep(STORE_RETRY).await;
            }
        }
        .into_actor(self)
        .map(|head, room: &mut Self, _| {
            room.state = Some(RoomState::new(head, &room.deps.settings, room.deps.memory.clone()));
        })
        .wait(ctx);
    }

    pub(super) fn on_event(&mut self, event: LiveEvent, ctx: &mut Context<Self>) {
        self.change(ctx, |state| state.on_event(event));
    }

    /// Changes the state and performs the effects.
    pub(super) fn change(
        &mut self,
        ctx: &mut Context<Self>,
        act: impl FnOnce(&mut RoomState) -> RoomEffects,
    ) {
        let Some(state) = &mut self.state else { return };
        let before = state.head().epoch;
        let effects = act(state);
        self.announce_new_epoch(before);
        self.perform(effects, ctx);
    }

    fn perform(&mut self, effects: RoomEffects, ctx: &mut Context<Self>) {
        for event in effects.deliver {
            for member in &mut self.members {
                member.needs_head =
                    member.needs_head || member.listener.deliver(self.id, event.clone()).is_err();
            }
        }
        match effects.repair {
            Some(Repair::Soon) if self.repairing == Repairing::Idle => {
                self.repairing = Repairing::Waiting;
                ctx.run_later(REORDER_WAIT, |room, ctx| {
                    room.repairing = Repairing::Idle;
                    if room.state.as_ref().is_some_and(RoomState::is_behind) {
                        room.repair(ctx);
                    }
                });
            }
            Some(Repair::Now) => self.repair(ctx),
            Some(Repair::Soon) | None => {}
        }
        match effects.identity {
            Some(Identity::Doubted) => self.compare(ctx),
            Some(Identity::Lost(loss)) => self.rotate(loss, ctx),
            None => {}
        }
    }

    /// Sends the head to every listener after a change of the epoch: subscribers find out by comparing their positions.
    fn announce_new_epoch(&mut self, before: Epoch) {
        let Some(state) = &self.state else { return };
        if state.head().epoch != before {
            self.members.iter_mut().for_each(|member| member.needs_head = true);
            self.send_heads();
        }
    }

    fn send_heads(&mut self) {
        let Some(head) = self.state.as_ref().map(RoomState::head) else { return };
        for member in &mut self.members {
            if member.needs_head && member.listener.set_head(self.id, head).is_ok() {
                member.needs_head = false;
            }
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.send_heads();
        self.members.retain(|member| member.listener.is_open());
        if !self.members.is_empty() {
            self.empty_since = None;
            return;
        }
        let since = *self.empty_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= Duration::from_secs(self.deps.settings.linger_s) {
            // In this order, so that a room that starts anew is subscribed.
            self.deps.bus.unsubscribe(self.id);
            self.deps.registry.remove(&self.id);
            ctx.stop();
        }
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.load(ctx);
        ctx.run_interval(TICK, Self::tick);
    }
}

impl Handler<Publish> for RoomActor {
    type Result = ();

    fn handle(&mut self, Publish(event): Publish, ctx: &mut Self::Context) {
        self.on_event(event, ctx);
    }
}

impl Handler<PublishEphemeral> for RoomActor {
    type Result = ();

    fn handle(&mut self, PublishEphemeral(event): PublishEphemeral, _: &mut Self::Context) {
        for member in &self.members {
            member.listener.deliver_ephemeral(self.id, event.clone());
        }
    }
}

impl Handler<Watermark> for RoomActor {
    type Result = ();

    fn handle(&mut self, Watermark { head, lost }: Watermark, ctx: &mut Self::Context) {
        self.change(ctx, |state| if lost { state.on_loss(head) } else { state.on_watermark(head) });
    }
}

impl Handler<Join> for RoomActor {
    type Result = ();

    fn handle(&mut self, Join { listener, reply }: Join, _: &mut Self::Context) {
        let Some(state) = &self.state else { return };
        self.empty_since = None;
        let id = listener.id();
        if !self.members.iter().any(|member| member.listener.id() == id) {
            self.members.push(Member { listener, needs_head: false });
        }
        // A caller that has given up does not know the position. One that is gone is removed by its listener's `Leave`.
        if reply.send(state.head()).is_err()
            && let Some(member) = self.members.iter_mut().find(|member| member.listener.id() == id)
        {
            member.needs_head = true;
        }
    }
}

impl Handler<Leave> for RoomActor {
    type Result = ();

    fn handle(&mut self, Leave { listener }: Leave, _: &mut Self::Context) {
        self.members.retain(|member| member.listener.id() != listener);
        if self.members.is_empty() {
            self.empty_since = Some(Instant::now());
        }
    }
}

impl Handler<ReadHistory> for RoomActor {
    type Result = ();

    fn handle(&mut self, ReadHistory { after, limit, reply }: ReadHistory, _: &mut Self::Context) {
        let history = self.state.as_ref().map(|state| state.history(after, limit));
        let _ = reply.send(history.unwrap_or(History::Events(Vec::new())));
    }
}
