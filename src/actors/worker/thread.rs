//! One worker thread as its sessions and readers see it. It never leaves its thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use prometheus::local::LocalHistogram;
use tokio::sync::Notify;

use crate::actors::room::RoomUnavailable;
use crate::actors::room::listener::Listener;
use crate::actors::room::live_event::LiveEvent;
use crate::actors::subscription::Requested;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::room::RoomId;
use crate::protocol::close::CloseReason;
use crate::protocol::ephemeral::EncodedEphemeral;
use crate::storage::commands::ScopedAck;

use super::deps::WorkerDeps;
use super::drain::DrainPlan;
use super::state::WorkerState;
use super::subscriber::{CloseNotice, Delivered, Subscriber, SubscriberKey};

/// Sockets written to before other threads may have the core: about a millisecond's work. A large room would otherwise
/// keep the store's writer, and readers on the same machine, waiting for a whole slice of the scheduler.
const WRITES_A_TURN: usize = 128;

/// The subscribers of one thread with everything they share.
pub struct Worker {
    pub(in crate::actors) deps: WorkerDeps,
    /// Observations of this thread, added to the shared histogram by the tick.
    pub(in crate::actors) delivery_seconds: RefCell<LocalHistogram>,
    listener: Arc<dyn Listener>,
    state: RefCell<WorkerState>,
    /// A flush was requested and has not begun.
    flush_pending: Cell<bool>,
    flush_requests: Notify,
}

impl Worker {
    pub(super) fn new(listener: Arc<dyn Listener>, deps: WorkerDeps) -> Self {
        let delivery_seconds = RefCell::new(deps.metrics.event_delivery_seconds.local());
        Self {
            deps,
            delivery_seconds,
            listener,
            state: RefCell::default(),
            flush_pending: Cell::new(false),
            flush_requests: Notify::new(),
        }
    }

    /// The number of this worker on its node.
    pub(super) fn id(&self) -> usize {
        self.listener.id()
    }

    /// Adds a subscriber; one that comes while the node goes down is closed at once.
    pub(in crate::actors) fn add(&self, subscriber: Rc<dyn Subscriber>) -> SubscriberKey {
        self.state.borrow_mut().add(subscriber)
    }

    /// Removes a subscriber from the thread and its rooms.
    pub(in crate::actors) fn remove(&self, key: SubscriberKey, rooms: impl Iterator<Item = RoomId>) {
        let emptied = self.state.borrow_mut().remove(key, rooms);
        emptied.into_iter().for_each(|room| self.leave(room));
    }

    /// Subscribes to a room on this thread; its events reach the subscriber once the room has been joined.
    pub(in crate::actors) fn subscribe(&self, room: RoomId, key: SubscriberKey) {
        self.state.borrow_mut().subscribe(room, key);
    }

    /// Makes events of a room reach this thread; the answer is a position after which every event does. It is behind what the client has
    /// seen on another node only if the store is too.
    pub(in crate::actors) async fn join(
        &self,
        room: RoomId,
        requested: Requested,
    ) -> Result<Cursor, RoomUnavailable> {
        let head = self.deps.rooms.join(room, self.listener.clone()).await?;
        match requested {
            Requested::From(cursor) if cursor.epoch == head.epoch && cursor.seq > head.seq => {
                self.deps.rooms.reach(room, cursor).await
            }
            _ => Ok(head),
        }
    }

    /// Unsubscribes from a room; with the room's last subscriber here, the thread leaves it.
    pub(in crate::actors) fn unsubscribe(&self, room: RoomId, key: SubscriberKey) {
        let last_member = self.state.borrow_mut().unsubscribe(room, key);
        if last_member {
            self.leave(room);
        }
    }

    fn leave(&self, room: RoomId) {
        self.deps.rooms.leave(room, self.listener.id());
    }

    /// Leaves a room that has no subscribers here: its actor was too busy when it was told before.
    fn unsubscribe_empty(&self, room: RoomId) {
        self.leave(room);
    }

    /// Gives an event to a room's subscribers here; returns how many it was queued for. No allocation for any of them.
    pub(super) fn deliver(&self, room: RoomId, event: &LiveEvent, more_queued: bool) -> u64 {
        let state = self.state.borrow();
        let Some(members) = state.members(room) else {
            self.unsubscribe_empty(room);
            return 0;
        };
        let mut queued = 0u64;
        let deliver_to_all = std::future::poll_fn(|_| {
            for chunk in members.chunks(WRITES_A_TURN) {
                for (_, subscriber) in chunk {
                    queued += u64::from(subscriber.deliver(room, event, more_queued) == Delivered::Queued);
                }
                if chunk.len() == WRITES_A_TURN {
                    std::thread::yield_now();
                }
            }
            Poll::Ready(())
        });
        // The budget of the worker's task is that of one socket, and these are many.
        tokio::task::unconstrained(deliver_to_all).now_or_never();
        self.deps.live_deliveries.inc_by(queued);
        queued
    }

    /// Gives an ephemeral event to a room's subscribers here.
    pub(super) fn deliver_ephemeral(&self, room: RoomId, event: &EncodedEphemeral, more_queued: bool) {
        for (_, subscriber) in self.state.borrow().members(room).unwrap_or_default() {
            subscriber.deliver_ephemeral(room, event, more_queued);
        }
    }

    /// Tells a room's subscribers here the position of its last event.
    pub(super) fn set_head(&self, room: RoomId, head: Cursor) {
        match self.state.borrow().members(room) {
            Some(members) => members.iter().for_each(|(_, subscriber)| subscriber.set_head(room, head)),
            None => self.unsubscribe_empty(room),
        }
    }

    pub(super) fn tick(&self, now: Instant) {
        self.state.borrow().subscribers().for_each(|subscriber| subscriber.tick(now));
        self.delivery_seconds.borrow_mut().flush();
    }

    fn close_ended(&self, has_ended: impl Fn(LoginSessionId) -> bool) {
        for subscriber in self.state.borrow().subscribers() {
            if has_ended(subscriber.principal().session) {
                subscriber.close(CloseNotice::now(CloseReason::SessionEnded));
            }
        }
    }

    /// Closes the subscribers of a login session that has ended.
    pub(super) fn end_session(&self, ended: LoginSessionId) {
        self.close_ended(|session| session == ended);
    }

    fn of_user(&self, user: UserId, act: impl Fn(&dyn Subscriber)) {
        for subscriber in self.state.borrow().subscribers() {
            if subscriber.principal().user == user {
                act(subscriber);
            }
        }
    }

    /// Asks a user's silent sockets whether they are there: those that are not end within `sessions.pong_s`.
    pub(super) fn probe(&self, user: UserId) {
        let now = Instant::now();
        self.of_user(user, |subscriber| subscriber.probe(now));
    }

    /// Lets a user's subscribers check again whether they may be in their rooms.
    pub(super) fn recheck_access(&self, user: UserId) {
        self.of_user(user, |subscriber| subscriber.recheck_access());
    }

    /// Checks every subscriber: whether its login session has ended, and whether it may be in its rooms.
    pub(super) fn recheck_all(&self) {
        self.close_ended(|session| self.deps.authenticator.has_ended(session));
        self.state.borrow().subscribers().for_each(|subscriber| subscriber.recheck_access());
    }

    /// The node goes down: see [`WorkerState::restart`].
    pub(super) fn restart(&self, plan: DrainPlan) {
        self.state.borrow_mut().restart(plan);
    }

    /// Closes the subscribers whose moment has come; whether those were the last.
    pub(super) fn tell_departing(&self, elapsed: Duration) -> bool {
        self.state.borrow_mut().tell_departing(elapsed)
    }

    /// How many follow a room here.
    pub(super) fn count_members(&self, room: RoomId) -> usize {
        self.state.borrow().members(room).map_or(0, <[_]>::len)
    }

    /// The login sessions with an open subscriber, one for each subscriber.
    pub(super) fn connected(&self) -> Vec<Principal> {
        self.state.borrow().connected()
    }

    /// Rooms with subscribers here.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.state.borrow().rooms()
    }

    /// Keeps an acknowledgement for the next flush.
    pub(in crate::actors) fn keep_ack(&self, received: ScopedAck) {
        self.state.borrow_mut().acks.keep(received);
    }

    /// Keeps an acknowledgement and requests a flush, which begins about 10 ms after the first request.
    pub(in crate::actors) fn store_ack_soon(&self, received: ScopedAck) {
        self.keep_ack(received);
        if !self.flush_pending.replace(true) {
            self.flush_requests.notify_one();
        }
    }

    /// Returns when a flush has been requested.
    pub(super) async fn flush_requested(&self) {
        self.flush_requests.notified().await;
    }

    /// The requested flush begins.
    pub(super) fn begin_flush(&self) {
        self.flush_pending.set(false);
    }

    /// Takes at most `max` of the acknowledgements that wait.
    pub(super) fn take_acks(&self, max: usize) -> Vec<ScopedAck> {
        self.state.borrow_mut().acks.take(max)
    }
}
