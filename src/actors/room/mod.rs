//! Rooms: one actor for each room in use on this node. It gives every member the room's events in order, without
//! holes, and finds by itself what it was not told of.

mod actor;
mod memory;
mod messages;
mod ring;
mod state;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;

use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::mailbox::{Mailbox, SendError};
use super::persistence::Persistence;
use super::session::Postbox;
use super::settings::RoomSettings;
use actor::Room;
use memory::RoomMemory;
use messages::{Ask, Join, Leave, Publish, Watermark};

/// An event on its way from a commit to the sockets.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its bytes, shared by everybody.
    pub event: EncodedEvent,
    /// When this node knew of the commit, for the delivery metrics; not known of what is read from the store.
    pub committed_at: Option<Instant>,
}

/// What a room, or the store behind it, has after a position.
#[derive(Debug)]
pub enum History {
    /// The next events, in order without holes; none when the position is the head.
    Events(Vec<Published>),
    /// The room does not go back that far; the store may. The head is given.
    InStore(Cursor),
    /// The position is of another history, ahead of the head, or no longer kept: go on from this one.
    Gone(Cursor),
}

/// Why a room did not answer in time.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The room has too much to do, or waits for the store.
    #[error("the room does not answer")]
    Busy,
    /// The store did not give the history.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages waiting for one room before publishers and askers are told no; the watermark finds what was not published.
const MAILBOX: usize = 4096;

/// How long a session waits for a room's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How often the store's heads are compared with the rooms'. A lost tail is found by the second look, so that events
/// of other nodes arrive within 1.5 s where there is no bus.
const WATERMARK_EVERY: Duration = Duration::from_millis(500);

/// Rooms of one question to the store, some milliseconds.
const ROOMS_A_LOOK: usize = 500;

/// Such questions at once: a slow one holds up one of them, and most connections are left to others.
const LOOKS_AT_ONCE: usize = 2;

#[derive(Clone, Default)]
struct Registry(Arc<DashMap<RoomId, Mailbox<Room>>>);

impl Registry {
    fn get(&self, room: &RoomId) -> Option<Mailbox<Room>> {
        self.0.get(room).map(|entry| entry.value().clone())
    }

    fn remove(&self, room: &RoomId) {
        self.0.remove(room);
    }

    fn remove_stopped(&self, room: &RoomId) {
        self.0.remove_if(room, |_, mailbox| !mailbox.is_open());
    }
}

/// What every room of a node needs.
#[derive(Clone)]
struct RoomDeps {
    registry: Registry,
    store: Arc<dyn Store>,
    /// Gives rooms a new epoch; there once the writers run.
    writer: Arc<OnceLock<Persistence>>,
    memory: Arc<RoomMemory>,
    settings: RoomSettings,
    metrics: Metrics,
}

/// The handle to all rooms of this node. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Rooms {
    deps: RoomDeps,
    arbiters: Arc<Vec<Arbiter>>,
}

impl Rooms {
    /// Rooms on `arbiters` threads of their own, and the watermark that compares them with the store twice a second.
    pub fn start(store: Arc<dyn Store>, arbiters: usize, settings: RoomSettings, metrics: Metrics) -> Self {
        let arbiters: Vec<Arbiter> = (0..arbiters.max(1)).map(|_| Arbiter::new()).collect();
        let deps = RoomDeps {
            registry: Registry::default(),
            store,
            writer: Arc::default(),
            memory: Arc::new(RoomMemory::new(settings.memory_bytes)),
            settings,
            metrics,
        };
        let rooms = Self { deps, arbiters: Arc::new(arbiters) };
        if let Some(first) = rooms.arbiters.first() {
            first.spawn(rooms.clone().keep_watch());
        }
        rooms
    }

    /// Lets rooms write what only they can find out: that the store is an older copy. Called once, when the writers run,
    /// which need the rooms themselves.
    pub fn write_through(&self, persistence: Persistence) {
        // A second call changes nothing.
        let _ = self.deps.writer.set(persistence);
    }

    /// Tells rooms in use on this node of committed events; each is encoded once. Never waits: a room whose
    /// mailbox is full finds its missing events by the watermark.
    pub fn publish(&self, events: &[RoomEvent]) {
        let committed_at = Some(Instant::now());
        for event in events {
            let Some(room) = self.deps.registry.get(&event.room) else { continue };
            let published = Published { event: EncodedEvent::new(event), committed_at };
            match room.offer(Publish(published)) {
                Ok(()) => {}
                Err(SendError::Full) => tracing::warn!(room = %event.room, "a room's mailbox is full"),
                Err(SendError::Closed) => self.deps.registry.remove_stopped(&event.room),
            }
        }
    }

    /// Registers a worker's postbox; the answer is the position after which every event of the room reaches it.
    pub async fn join(&self, room: RoomId, worker: Postbox) -> Result<Cursor, RoomError> {
        self.ask(room, |reply| Join { worker: worker.clone(), reply }).await
    }

    /// A worker has no members in the room any more.
    pub fn leave(&self, room: RoomId, worker: usize) {
        if let Some(mailbox) = self.deps.registry.get(&room)
            && let Err(error) = mailbox.offer(Leave { worker })
        {
            // It goes on delivering to a worker that drops what nobody there wants.
            tracing::debug!(%room, worker, %error, "a worker could not leave a room");
        }
    }

    /// Up to `limit` events after a position: from the ring, else from the store.
    pub async fn history(&self, room: RoomId, after: Cursor, limit: usize) -> Result<History, RoomError> {
        match self.ask(room, |reply| Ask { after, limit, reply }).await? {
            History::InStore(head) => {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                let events = self.deps.store.events_after(room, after.seq, limit).await?;
                let first = events.first().map(|e| e.cursor);
                if first.is_some_and(|first| first.epoch != after.epoch) {
                    // The room is about to hear of its new epoch.
                    return Err(RoomError::Busy);
                }
                if first != Some(Cursor::new(after.epoch, after.seq + 1)) {
                    return Ok(History::Gone(head));
                }
                let published = |e| Published { event: EncodedEvent::new(&e), committed_at: None };
                Ok(History::Events(events.into_iter().map(published).collect()))
            }
            known => Ok(known),
        }
    }

    /// Whether the room's actor runs; a worker with members in one that does not has to join again.
    pub fn is_running(&self, room: &RoomId) -> bool {
        self.deps.registry.get(room).is_some_and(|mailbox| mailbox.is_open())
    }

    /// Rooms in use on this node.
    pub fn count(&self) -> usize {
        self.deps.registry.0.len()
    }

    /// Ends every room; sessions must have ended before.
    pub fn stop(&self) {
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
        self.deps.registry.0.clear();
    }

    async fn ask<M, T>(&self, room: RoomId, message: impl Fn(oneshot::Sender<T>) -> M) -> Result<T, RoomError>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        Room: actix::Handler<M>,
    {
        // A room may stop for being empty between being found and being asked: the second one is new.
        for _ in 0..2 {
            let (reply, answer) = oneshot::channel();
            match self.running(room).offer(message(reply)) {
                Ok(()) => match tokio::time::timeout(ANSWER_WITHIN, answer).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(_)) => {}
                    Err(_) => return Err(RoomError::Busy),
                },
                Err(SendError::Full) => return Err(RoomError::Busy),
                Err(SendError::Closed) => {}
            }
        }
        Err(RoomError::Busy)
    }

    fn running(&self, room: RoomId) -> Mailbox<Room> {
        match self.deps.registry.0.entry(room) {
            Entry::Occupied(entry) if entry.get().is_open() => entry.get().clone(),
            entry => {
                let mailbox = self.start_room(room);
                match entry {
                    Entry::Occupied(mut entry) => {
                        entry.insert(mailbox.clone());
                    }
                    Entry::Vacant(entry) => {
                        entry.insert(mailbox.clone());
                    }
                }
                mailbox
            }
        }
    }

    fn start_room(&self, room: RoomId) -> Mailbox<Room> {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let index = (hasher.finish() % self.arbiters.len() as u64) as usize;
        let actor = Room::new(room, self.deps.clone());
        Mailbox::start_in(&self.arbiters[index].handle(), MAILBOX, actor)
    }

    /// Watches for as long as the rooms live; a watch that panics is begun again.
    async fn keep_watch(self) {
        loop {
            // Nothing is shared with a watch that ended but what other threads change as well.
            if AssertUnwindSafe(self.clone().watch()).catch_unwind().await.is_err() {
                tracing::error!("the comparison of rooms with the store broke off and begins again");
                tokio::time::sleep(WATERMARK_EVERY).await;
            }
        }
    }

    /// Compares every room of this node with the store twice a second: finds tails that no doorbell announced, events
    /// of other nodes when there is no bus, and a store that is an older copy. Some rooms a question, so that a slow one
    /// does not keep the others from being found.
    async fn watch(self) {
        let mut ticks = tokio::time::interval(WATERMARK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let rooms: Vec<RoomId> = self.deps.registry.0.iter().map(|entry| *entry.key()).collect();
            let pieces = rooms.chunks(ROOMS_A_LOOK).map(|piece| self.look(piece));
            futures_util::stream::iter(pieces).for_each_concurrent(LOOKS_AT_ONCE, |look| look).await;
            let used = i64::try_from(self.deps.memory.used()).unwrap_or(i64::MAX);
            self.deps.metrics.room_memory_bytes.set(used);
        }
    }

    async fn look(&self, rooms: &[RoomId]) {
        match self.deps.store.heads(rooms).await {
            Ok(heads) => {
                for (room, head) in heads {
                    if let Some(mailbox) = self.deps.registry.get(&room) {
                        // A full mailbox is told again at the next look.
                        let _ = mailbox.offer(Watermark(head));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, rooms = rooms.len(), "the heads of rooms could not be read");
            }
        }
    }
}
