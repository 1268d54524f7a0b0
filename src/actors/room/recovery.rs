//! Recovery of a room: reading the events it missed, and a new epoch where the store turns out to be an older copy.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::sync::Arc;

use actix::prelude::{ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, WrapFuture};

use crate::actors::persistence::SubmitError;
use crate::domain::cursor::Head;
use crate::domain::room::RoomId;
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::storage::commands::EpochChange;
use crate::storage::{Store, StoreError};

use super::actor::{Comparing, Repairing, RoomActor, STORE_RETRY};
use super::live_event::LiveEvent;
use super::messages::Reach;
use super::state::{Loss, RoomState};

/// Most events read from the store at once.
const REPAIR_PAGE: u32 = 256;

impl RoomActor {
    /// Reads the events after the head; one read at a time, however many are asked for.
    pub(super) fn repair(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = &self.state else { return };
        if self.repairing == Repairing::Reading {
            return;
        }
        self.repairing = Repairing::Reading;
        self.reaching.begin_read();
        self.deps.metrics.room_gap_repairs_total.inc();
        read_missing(self.deps.store.clone(), self.id, state.repair_after(), state.head().seq)
            .into_actor(self)
            .map(|read, room: &mut Self, ctx| {
                room.repairing = Repairing::Idle;
                match read {
                    Ok(events) => {
                        room.on_missing(&events, ctx);
                        room.answer_reaching(ctx);
                    }
                    Err(error) => {
                        tracing::warn!(room = %room.id, %error, "missing events could not be read");
                        ctx.run_later(STORE_RETRY, |room, ctx| room.repair(ctx));
                    }
                }
            })
            .spawn(ctx);
    }

    fn on_missing(&mut self, events: &[RoomEvent], ctx: &mut Context<Self>) {
        for event in events {
            self.on_event(LiveEvent::stored(EncodedEvent::new(event)), ctx);
        }
        let full_page = events.len() >= REPAIR_PAGE as usize;
        if full_page && self.state.as_ref().is_some_and(|state| state.lost().is_none()) {
            self.repair(ctx);
        }
    }

    /// Answers those who waited for the read that has ended; others need another one.
    fn answer_reaching(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = self.state.as_ref().filter(|_| self.repairing != Repairing::Reading) else {
            return;
        };
        if self.reaching.end_read(state.head()) {
            self.repair(ctx);
        }
    }

    /// Reads the head once more: it has to include everything that was known before this read began.
    pub(super) fn compare(&mut self, ctx: &mut Context<Self>) {
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
                    Ok(head) => room.change(ctx, |state| state.on_compared(before, head)),
                    // The next watermark begins another comparison.
                    Err(error) => tracing::warn!(room = %room.id, %error, "a head could not be compared"),
                }
            })
            .spawn(ctx);
    }

    /// Gives the room a new epoch, trying until the store answers, so that no earlier position is taken for one of the new
    /// history.
    pub(super) fn rotate(&mut self, loss: Loss, ctx: &mut Context<Self>) {
        let Some(state) = &self.state else { return };
        if self.comparing == Comparing::Rotating {
            return;
        }
        self.comparing = Comparing::Rotating;
        let (id, known) = (self.id, state.head());
        tracing::error!(
            room = %id,
            %known,
            cause = loss.cause(),
            "the database lacks events that were committed: it is an older copy. The room goes on in a new epoch and its \
             clients list anew; orders that were answered with 201 may be gone"
        );
        let writer = self.deps.writer.get().cloned();
        async move {
            let writer = writer.ok_or(SubmitError::Unavailable)?;
            writer.rotate_room(id, known.epoch, known.epoch.successor()).await
        }
        .into_actor(self)
        .map(move |changed, room: &mut Self, ctx| room.on_rotated(loss, changed, ctx))
        .spawn(ctx);
    }

    fn on_rotated(&mut self, loss: Loss, changed: Result<EpochChange, SubmitError>, ctx: &mut Context<Self>) {
        self.comparing = Comparing::Idle;
        match changed {
            Ok(change) => {
                if let EpochChange::Made(_) = change {
                    self.deps.metrics.epoch_rotations_total.with_label_values(&[loss.cause()]).inc();
                }
                let (EpochChange::Made(cursor) | EpochChange::NotNeeded(cursor)) = change;
                self.change(ctx, |state| state.on_watermark(Head { cursor, last: None }));
            }
            Err(error) => {
                tracing::warn!(room = %self.id, %error, "a room could not be given a new epoch");
                ctx.run_later(STORE_RETRY, |room, ctx| {
                    if let Some(loss) = room.state.as_ref().and_then(RoomState::lost) {
                        room.rotate(loss, ctx);
                    }
                });
            }
        }
    }
}

impl Handler<Reach> for RoomActor {
    type Result = ();

    fn handle(&mut self, Reach { to, reply }: Reach, ctx: &mut Self::Context) {
        let Some(state) = &self.state else { return };
        if self.reaching.wait(to, reply, state.head()) {
            self.repair(ctx);
        }
    }
}

/// The events after `known`, and the event at it as well where `after` is before it, unless that is no longer kept.
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
