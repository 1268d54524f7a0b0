//! The room's shell: reads its position from the store, then passes what its mind says to the workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, WrapFuture,
};

use crate::actors::persistence::SubmitError;
use crate::actors::session::Postbox;
use crate::domain::cursor::{Epoch, Head};
use crate::domain::room::RoomId;
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::storage::commands::EpochChange;
use crate::storage::{Store, StoreError};

use super::messages::{Ask, Join, Leave, Publish, Watermark};
use super::state::{Effects, Identity, Loss, Repair, RoomState};
use super::{History, Published, RoomDeps};

/// An event that overtook another waits this long for it before the store is asked.
const REORDER_WAIT: Duration = Duration::from_millis(20);

/// Between two tries to read from a store that is away.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// Most events read from the store at once.
const REPAIR_PAGE: u32 = 256;

/// How often a room looks for workers that missed something and for having been empty too long.
const TICK: Duration = Duration::from_secs(1);

struct Worker {
    postbox: Postbox,
    /// Its postbox was full: tell it the position until it takes it.
    missed: Missed,
}

#[derive(PartialEq, Eq)]
enum Missed {
    Nothing,
    Something,
}

#[derive(PartialEq, Eq)]
enum Repairing {
    Idle,
    Waiting,
    Reading,
}

/// What is being done about a store that may be an older copy.
#[derive(PartialEq, Eq)]
enum Comparing {
    Idle,
    Reading,
    Rotating,
}

pub(super) struct Room {
    id: RoomId,
    /// None until the position was read from the store; the mailbox waits so long.
    state: Option<RoomState>,
    deps: RoomDeps,
    workers: Vec<Worker>,
    repairing: Repairing,
    comparing: Comparing,
    empty_since: Option<Instant>,
}

impl Room {
    pub(super) fn new(id: RoomId, deps: RoomDeps) -> Self {
        Self {
            id,
            state: None,
            deps,
            workers: Vec::new(),
            repairing: Repairing::Idle,
            comparing: Comparing::Idle,
            empty_since: Some(Instant::now()),
        }
    }

    /// Reads the position, trying until the store answers; nothing else is handled before.
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

    fn perform(&mut self, effects: Effects, ctx: &mut Context<Self>) {
        for published in effects.deliver {
            for worker in &mut self.workers {
                if worker.missed == Missed::Nothing
                    && worker.postbox.deliver(self.id, published.clone()).is_err()
                {
                    worker.missed = Missed::Something;
                }
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

    /// Reads what follows the head; one read at a time, however many ask.
    fn repair(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = &self.state else { return };
        if self.repairing == Repairing::Reading {
            return;
        }
        self.repairing = Repairing::Reading;
        self.deps.metrics.room_gap_repairs_total.inc();
        let missing = read_missing(self.deps.store.clone(), self.id, state.repair_after(), state.head().seq);
        missing
            .into_actor(self)
            .map(move |read, room: &mut Self, ctx| {
                room.repairing = Repairing::Idle;
                match read {
                    Ok(events) => {
                        let full_page = events.len() >= REPAIR_PAGE as usize;
                        for event in events {
                            let event = EncodedEvent::new(&event);
                            room.hear(Published { event, committed_at: None }, ctx);
                        }
                        if full_page && room.state.as_ref().is_some_and(|state| state.lost().is_none()) {
                            room.repair(ctx);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(room = %room.id, %error, "a gap could not be read");
                        ctx.run_later(STORE_RETRY, |room, ctx| room.repair(ctx));
                    }
                }
            })
            .spawn(ctx);
    }

    /// Reads the head once more: what was known before this read began has to be in it.
    fn compare(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = &self.state else { return };
        if self.comparing != Comparing::Idle {
            return;
        }
        self.comparing = Comparing::Reading;
        let (store, id, before) = (self.deps.store.clone(), self.id, state.head());
        async move { store.head(id).await }
            .into_actor(self)
            .map(move |read, room: &mut Self, ctx| {
                if room.comparing == Comparing::Reading {
                    room.comparing = Comparing::Idle;
                }
                match read {
                    Ok(head) => room.change(ctx, |state| state.compared(before, head)),
                    // The next look asks again.
                    Err(error) => tracing::warn!(room = %room.id, %error, "a head could not be compared"),
                }
            })
            .spawn(ctx);
    }

    /// Gives the room a new epoch, trying until the store answers: no position from before may pass for one of now.
    fn rotate(&mut self, loss: Loss, ctx: &mut Context<Self>) {
        let Some(state) = &self.state else { return };
        if self.comparing == Comparing::Rotating {
            return;
        }
        self.comparing = Comparing::Rotating;
        let (id, seen) = (self.id, state.head());
        tracing::error!(
            room = %id,
            known = %seen,
            cause = loss.cause(),
            "the database lacks events that were committed: it is an older copy. The room goes on in a new epoch and its \
             clients list anew; orders that were answered with 201 may be gone"
        );
        let writer = self.deps.writer.get().cloned();
        async move {
            let writer = writer.ok_or(SubmitError::Unavailable)?;
            writer.rotate_room(id, seen.epoch, seen.epoch.successor()).await
        }
        .into_actor(self)
        .map(move |changed, room: &mut Self, ctx| {
            room.comparing = Comparing::Idle;
            match changed {
                Ok(change) => {
                    if let EpochChange::Made(_) = change {
                        room.deps.metrics.epoch_rotations_total.with_label_values(&[loss.cause()]).inc();
                    }
                    let (EpochChange::Made(cursor) | EpochChange::NotNeeded(cursor)) = change;
                    room.change(ctx, |state| state.watermark(Head { cursor, last: None }));
                }
                Err(error) => {
                    tracing::warn!(room = %room.id, %error, "a room could not be given a new epoch");
                    ctx.run_later(STORE_RETRY, |room, ctx| {
                        if let Some(loss) = room.state.as_ref().and_then(RoomState::lost) {
                            room.rotate(loss, ctx);
                        }
                    });
                }
            }
        })
        .spawn(ctx);
    }

    fn hear(&mut self, published: Published, ctx: &mut Context<Self>) {
        self.change(ctx, |state| state.hear(published));
    }

    fn change(&mut self, ctx: &mut Context<Self>, act: impl FnOnce(&mut RoomState) -> Effects) {
        let Some(state) = &mut self.state else { return };
        let before = state.head().epoch;
        let effects = act(state);
        self.tell_of_new_epoch(before);
        self.perform(effects, ctx);
    }

    /// Members stand in a history that is no more: each finds out by comparing its position.
    fn tell_of_new_epoch(&mut self, before: Epoch) {
        let Some(state) = &self.state else { return };
        if state.head().epoch != before {
            for worker in &mut self.workers {
                worker.missed = Missed::Something;
            }
            self.tell_who_missed();
        }
    }

    fn tell_who_missed(&mut self) {
        let Some(head) = self.state.as_ref().map(RoomState::head) else { return };
        for worker in &mut self.workers {
            if worker.missed == Missed::Something && worker.postbox.position(self.id, head).is_ok() {
                worker.missed = Missed::Nothing;
            }
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.tell_who_missed();
        self.workers.retain(|w| w.postbox.is_open());
        if !self.workers.is_empty() {
            self.empty_since = None;
            return;
        }
        let since = *self.empty_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= Duration::from_secs(self.deps.settings.linger_s) {
            self.deps.registry.remove(&self.id);
            ctx.stop();
        }
    }
}

/// What follows on `known`, and the event at it as well where `after` is before it, unless that is no longer kept.
async fn read_missing(
    store: Arc<dyn Store>,
    room: RoomId,
    after: u64,
    known: u64,
) -> Result<Vec<RoomEvent>, StoreError> {
    let events = store.events_after(room, after, REPAIR_PAGE).await?;
    if events.is_empty() && after < known {
        return store.events_after(room, known, REPAIR_PAGE).await;
    }
    Ok(events)
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.load(ctx);
        ctx.run_interval(TICK, Self::tick);
    }
}

impl Handler<Publish> for Room {
    type Result = ();

    fn handle(&mut self, Publish(published): Publish, ctx: &mut Self::Context) {
        self.hear(published, ctx);
    }
}

impl Handler<Watermark> for Room {
    type Result = ();

    fn handle(&mut self, Watermark(head): Watermark, ctx: &mut Self::Context) {
        self.change(ctx, |state| state.watermark(head));
    }
}

impl Handler<Join> for Room {
    type Result = ();

    fn handle(&mut self, Join { worker, reply }: Join, _: &mut Self::Context) {
        let Some(state) = &self.state else { return };
        self.empty_since = None;
        let id = worker.worker();
        if !self.workers.iter().any(|w| w.postbox.worker() == id) {
            self.workers.push(Worker { postbox: worker, missed: Missed::Nothing });
        }
        // Who has given up waiting does not know the position. A joiner that has gone is taken out by its worker's `Leave`.
        if reply.send(state.head()).is_err()
            && let Some(worker) = self.workers.iter_mut().find(|w| w.postbox.worker() == id)
        {
            worker.missed = Missed::Something;
        }
    }
}

impl Handler<Leave> for Room {
    type Result = ();

    fn handle(&mut self, Leave { worker }: Leave, _: &mut Self::Context) {
        self.workers.retain(|w| w.postbox.worker() != worker);
        if self.workers.is_empty() {
            self.empty_since = Some(Instant::now());
        }
    }
}

impl Handler<Ask> for Room {
    type Result = ();

    fn handle(&mut self, Ask { after, limit, reply }: Ask, _: &mut Self::Context) {
        let history = self.state.as_ref().map(|state| state.history(after, limit));
        let _ = reply.send(history.unwrap_or(History::Events(Vec::new())));
    }
}
