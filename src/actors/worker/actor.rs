//! The actor of a worker thread: gives what rooms send to the thread's subscribers, stores acknowledgements, and ticks once
//! a second.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, WrapFuture,
};

use crate::actors::fatal::FatalGuard;
use crate::actors::persistence::SubmitError;
use crate::storage::commands::ScopedAck;

use super::access_changes::{AccessChange, AccessChanges, Unseen};
use crate::actors::subscription::Requested;

use super::messages::WorkerMessage;
use super::settings::{ACKS_A_COMMAND, EVENTS_A_TURN, MERGE_WITHIN, TELL_EVERY, TICK};
use super::thread::Worker;

pub(super) struct WorkerActor {
    worker: Rc<Worker>,
    /// Messages sent and not handled.
    waiting: Arc<AtomicUsize>,
    changes: Arc<AccessChanges>,
    /// The number of changes acted on.
    changes_seen: u64,
    flushing: bool,
    last_flush: Instant,
    /// Events queued for subscribers since other tasks had their turn.
    queued: u64,
    /// Without its worker a thread's devices would hear nothing and be told that they are alive.
    guard: Option<FatalGuard>,
}

impl WorkerActor {
    pub(super) fn new(
        worker: Rc<Worker>,
        waiting: Arc<AtomicUsize>,
        changes: Arc<AccessChanges>,
        guard: FatalGuard,
    ) -> Self {
        Self {
            worker,
            waiting,
            changes_seen: changes.count(),
            changes,
            flushing: false,
            last_flush: Instant::now(),
            queued: 0,
            guard: Some(guard),
        }
    }

    /// Acts on the changes since the last call: a comparison of two numbers when there are none.
    fn act_on_changes(&mut self) {
        if self.changes.count() == self.changes_seen {
            return;
        }
        let (unseen, count) = self.changes.since(self.changes_seen);
        self.changes_seen = count;
        match unseen {
            Unseen::Changes(changes) => changes.into_iter().for_each(|change| match change {
                AccessChange::SessionEnded(session) => self.worker.end_session(session),
                AccessChange::RoomsOf(user) => self.worker.recheck_access(user),
                AccessChange::Everybody => self.worker.recheck_all(),
            }),
            Unseen::Unknown => self.worker.recheck_all(),
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some(guard) = &self.guard {
            guard.beat();
        }
        self.act_on_changes();
        self.worker.tick(now);
        let depth = i64::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let name = format!("worker_{}", self.worker.id());
        self.worker.deps.metrics.mailbox_depth.with_label_values(&[&name]).set(depth);
        let flush_every = Duration::from_millis(self.worker.deps.settings.ack_flush_ms);
        if now.duration_since(self.last_flush) >= flush_every {
            self.last_flush = now;
            self.flush(ctx);
        }
        self.rejoin(ctx);
    }

    /// Stores the acknowledgements that wait, one command after the other. Those that could not be stored wait for the next
    /// flush.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.flushing {
            return;
        }
        let acks = self.worker.take_acks(ACKS_A_COMMAND);
        if acks.is_empty() {
            return;
        }
        self.flushing = true;
        let persistence = self.worker.deps.persistence.clone();
        let acks: Arc<[ScopedAck]> = acks.into();
        async move { (persistence.store_acks(acks.clone()).await, acks) }
            .into_actor(self)
            .map(|(stored, acks), actor: &mut Self, ctx| {
                actor.flushing = false;
                match stored {
                    Ok(()) => actor.flush(ctx),
                    // They would be refused again, or take as long again. A device's next one says the same and more.
                    Err(SubmitError::Refused | SubmitError::TooSlow) => {}
                    Err(SubmitError::Overloaded | SubmitError::Unavailable | SubmitError::OutcomeUnknown) => {
                        acks.iter().for_each(|ack| actor.worker.keep_ack(ack.clone()));
                    }
                }
            })
            .spawn(ctx);
    }

    /// Flushes a moment after each request, for as long as the actor lives.
    fn flush_on_request(&mut self, ctx: &mut Context<Self>) {
        let worker = self.worker.clone();
        async move {
            worker.flush_requested().await;
            tokio::time::sleep(MERGE_WITHIN).await;
        }
        .into_actor(self)
        .map(|(), actor: &mut Self, ctx| {
            actor.worker.begin_flush();
            actor.flush(ctx);
            actor.flush_on_request(ctx);
        })
        .spawn(ctx);
    }

    /// Tells clients of a node that stops, each at its moment, until all have been told.
    fn tell_departing(&self, began: Instant, ctx: &mut Context<Self>) {
        if self.worker.tell_departing(began.elapsed()) {
            // What they acknowledged until then; the tick has stored the rest.
            ctx.run_later(MERGE_WITHIN, Self::flush);
        } else {
            ctx.run_later(TELL_EVERY, move |actor, ctx| actor.tell_departing(began, ctx));
        }
    }

    /// Joins rooms whose actor has ended: they start again from the store, and the subscribers here compare positions.
    fn rejoin(&self, ctx: &mut Context<Self>) {
        for room in self.worker.rooms() {
            if self.worker.deps.rooms.is_running(&room) {
                continue;
            }
            let worker = self.worker.clone();
            async move { worker.join(room, Requested::Head).await }
                .into_actor(self)
                .map(move |joined, actor: &mut Self, _| match joined {
                    Ok(head) => actor.worker.set_head(room, head),
                    Err(error) => tracing::warn!(%room, %error, "a room could not be started again"),
                })
                .spawn(ctx);
        }
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, Self::tick);
        self.flush_on_request(ctx);
    }
}

impl Handler<WorkerMessage> for WorkerActor {
    type Result = ();

    fn handle(&mut self, message: WorkerMessage, ctx: &mut Self::Context) {
        let more_queued = self.waiting.fetch_sub(1, Ordering::Relaxed) > 1;
        self.act_on_changes();
        match message {
            WorkerMessage::Event(room, event) => {
                self.queued += self.worker.deliver(room, &event, more_queued);
                if self.queued >= EVENTS_A_TURN {
                    self.queued = 0;
                    // The mailbox would go on until it is empty: now sessions write, and every other task gets a turn.
                    tokio::task::yield_now().into_actor(self).wait(ctx);
                }
            }
            WorkerMessage::Ephemeral(room, event) => {
                self.worker.deliver_ephemeral(room, &event, more_queued);
            }
            WorkerMessage::Head(room, head) => self.worker.set_head(room, head),
            WorkerMessage::AccessChanged => {}
            WorkerMessage::Probe(user) => self.worker.probe(user),
            WorkerMessage::ListConnected(reply) => {
                let _ = reply.send(self.worker.connected());
            }
            WorkerMessage::CountMembers(room, reply) => {
                let _ = reply.send(self.worker.count_members(room));
            }
            WorkerMessage::Restart(plan, done) => {
                if let Some(guard) = self.guard.take() {
                    guard.disarm();
                }
                self.worker.restart(plan);
                self.tell_departing(Instant::now(), ctx);
                let _ = done.send(());
            }
        }
    }
}
