//! Rooms: one actor for each room in use on this node. It gives every listener the room's events in order, without
//! holes, and finds by itself the events that did not reach it.

mod actor;
pub(in crate::actors) mod listener;
pub(in crate::actors) mod live_event;
mod memory;
mod messages;
mod poll_heads;
mod reaching;
mod recovery;
mod registry;
mod ring_buffer;
pub(in crate::actors) mod settings;
mod state;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use tokio::sync::oneshot;

use crate::bus::{Bus, BusMessage};
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::{EncodedEphemeral, EphemeralEvent};
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::fatal::FatalSignal;
use super::mailbox::{Mailbox, SendError};
use super::persistence::Persistence;
use actor::{RoomActor, RoomDeps};
use memory::RoomMemory;
use messages::{Join, Leave, Publish, PublishEphemeral, Reach, ReadHistory};
use registry::Registry;
use settings::RoomSettings;

pub use listener::Listener;
pub use live_event::{History, LiveEvent};

/// Why a room did not answer in time.
#[derive(Debug, thiserror::Error)]
pub enum RoomUnavailable {
    /// The room has too much to do, or waits for the store.
    #[error("the room does not answer")]
    Busy,
    /// The store did not give the history.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages waiting for one room before further ones are refused; the watermark finds events that were not published.
const MAILBOX: usize = 4096;

/// How long a caller waits for a room's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The handle to all rooms of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Rooms {
    deps: RoomDeps,
    arbiters: Arc<Vec<Arbiter>>,
}

impl Rooms {
    /// Starts rooms on `arbiters` threads of their own, and their comparison with the store twice a second.
    pub fn start(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        arbiters: usize,
        settings: RoomSettings,
        metrics: Metrics,
    ) -> Self {
        let arbiters: Vec<Arbiter> = (0..arbiters.max(1)).map(|_| Arbiter::new()).collect();
        let deps = RoomDeps {
            dirty: Arc::default(),
            registry: Registry::default(),
            store,
            bus,
            writer: Arc::default(),
            memory: Arc::new(RoomMemory::new(settings.memory_bytes)),
            settings,
            metrics,
        };
        if let Some(first) = arbiters.first() {
            first.spawn(poll_heads::poll_heads(deps.clone()));
        }
        Self { deps, arbiters: Arc::new(arbiters) }
    }

    /// Lets rooms write a new epoch when they find that the store is an older copy. Called once, when the writers run, which
    /// need the rooms themselves; a second call changes nothing.
    pub fn write_through(&self, persistence: Persistence) {
        let _ = self.deps.writer.set(persistence);
    }

    /// Lets their threads give signs of life.
    pub fn give_signs_of_life(&self, fatal: &FatalSignal) {
        for arbiter in self.arbiters.iter() {
            // A thread that is stopping need not.
            let _ = arbiter.spawn(fatal.pulse("a thread of rooms").of_this_thread());
        }
    }

    /// Passes committed events to the rooms in use on this node; each is encoded once. Never waits: a room whose
    /// mailbox is full finds the missing events by the watermark.
    pub fn publish(&self, events: &[RoomEvent]) {
        let committed_at = Some(Instant::now());
        for event in events {
            let Some(room) = self.deps.registry.get(&event.room) else { continue };
            let live = LiveEvent { event: EncodedEvent::new(event), committed_at };
            match room.offer(Publish(live)) {
                Ok(()) => {}
                Err(SendError::Full) => tracing::warn!(room = %event.room, "the mailbox of a room is full"),
                Err(SendError::Closed) => self.deps.registry.remove_stopped(&event.room),
            }
        }
    }

    /// Sends an ephemeral event to everybody in its room, on every node. Never waits: where a queue is full, it is dropped.
    pub fn publish_ephemeral(&self, event: EphemeralEvent) {
        self.deliver_ephemeral(&event);
        self.deps.bus.publish(BusMessage::Ephemeral(event));
    }

    /// Passes an ephemeral event to its room on this node, if that is in use.
    pub(in crate::actors) fn deliver_ephemeral(&self, event: &EphemeralEvent) {
        if let Some(room) = self.deps.registry.get(&event.room)
            && let Err(error) = room.offer(PublishEphemeral(EncodedEphemeral::new(event)))
        {
            tracing::debug!(room = %event.room, kind = %event.kind, %error, "an ephemeral event was dropped");
        }
    }

    /// Adds a listener to a room; the answer is the position after which every event of the room reaches it.
    ///
    /// # Errors
    /// When the room does not answer within 5 s; the listener may have been added.
    pub async fn join(&self, room: RoomId, listener: Arc<dyn Listener>) -> Result<Cursor, RoomUnavailable> {
        self.ask(room, |reply| Join { listener: listener.clone(), reply }).await
    }

    /// The position of a room for a client that another node told of `to`, which this one has not heard of yet: the room reads from the store
    /// first. It is before `to` only if the store does not have that event either.
    ///
    /// # Errors
    /// When the room, or the store, does not answer within 5 s.
    pub(in crate::actors) async fn reach(&self, room: RoomId, to: Cursor) -> Result<Cursor, RoomUnavailable> {
        self.ask(room, |reply| Reach { to, reply }).await
    }

    /// Removes the listener with this id from a room. A room that is too busy goes on delivering to it.
    pub fn leave(&self, room: RoomId, listener: usize) {
        if let Some(mailbox) = self.deps.registry.get(&room)
            && let Err(error) = mailbox.offer(Leave { listener })
        {
            tracing::debug!(%room, listener, %error, "a worker thread could not leave a room");
        }
    }

    /// At most `limit` events after a position: from the ring, else from the store.
    ///
    /// # Errors
    /// When the room does not answer within 5 s, or the store does not.
    pub async fn history(
        &self,
        room: RoomId,
        after: Cursor,
        limit: usize,
    ) -> Result<History, RoomUnavailable> {
        match self.ask(room, |reply| ReadHistory { after, limit, reply }).await? {
            History::InStore(head) => self.stored_history(room, after, limit, head).await,
            known => Ok(known),
        }
    }

    async fn stored_history(
        &self,
        room: RoomId,
        after: Cursor,
        limit: usize,
        head: Cursor,
    ) -> Result<History, RoomUnavailable> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let events = self.deps.store.events_after(room, after.seq, limit).await?;
        let first = events.first().map(|e| e.cursor);
        if first.is_some_and(|first| first.epoch != after.epoch) {
            // The room is about to receive its new epoch.
            return Err(RoomUnavailable::Busy);
        }
        if first != Some(Cursor::new(after.epoch, after.seq + 1)) {
            return Ok(History::Gone(head));
        }
        Ok(History::Events(events.iter().map(|e| LiveEvent::stored(EncodedEvent::new(e))).collect()))
    }

    /// Whether the room's actor runs; the listeners of one that does not have to join again.
    pub fn is_running(&self, room: &RoomId) -> bool {
        self.deps.registry.get(room).is_some_and(|mailbox| mailbox.is_open())
    }

    /// Compares every room with the store at once: messages of other nodes were lost.
    pub(in crate::actors) fn compare_now(&self) {
        self.deps.dirty.notify_one();
    }

    /// Rooms in use on this node.
    pub fn count(&self) -> usize {
        self.deps.registry.len()
    }

    /// Stops every room; sessions must have ended before.
    pub fn stop(&self) {
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
        self.deps.registry.clear();
    }

    async fn ask<M, T>(
        &self,
        room: RoomId,
        message: impl Fn(oneshot::Sender<T>) -> M,
    ) -> Result<T, RoomUnavailable>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        RoomActor: actix::Handler<M>,
    {
        // A room may stop for being empty between being found and being asked: the second one is new.
        for _ in 0..2 {
            let (reply, answer) = oneshot::channel();
            let mailbox = self.deps.registry.get_or_start(room, || self.start_room(room));
            match mailbox.offer(message(reply)) {
                Ok(()) => match tokio::time::timeout(ANSWER_WITHIN, answer).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(_)) => {}
                    Err(_) => return Err(RoomUnavailable::Busy),
                },
                Err(SendError::Full) => return Err(RoomUnavailable::Busy),
                Err(SendError::Closed) => {}
            }
        }
        Err(RoomUnavailable::Busy)
    }

    fn start_room(&self, room: RoomId) -> Mailbox<RoomActor> {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let index = (hasher.finish() % self.arbiters.len() as u64) as usize;
        // Before the room reads its head, so that nothing is committed unseen between the two.
        self.deps.bus.subscribe(room);
        let actor = RoomActor::new(room, self.deps.clone());
        Mailbox::start_in(&self.arbiters[index].handle(), MAILBOX, actor)
    }
}
