//! The control room on this node: its events are acted on as they arrive, and those that did not arrive are read from the store.

mod follower;
mod settings;
mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc};

use crate::protocol::event::RoomEvent;

use settings::HEARD_EVENTS;
use state::Heard;

pub use follower::ControlFollower;

/// The part of the node that acts on the control room. Nothing here waits, and acting twice changes nothing.
pub trait ControlListener: Send + Sync + 'static {
    /// What arrives here.
    fn control(&self) -> &ControlRoom;

    /// Acts on an event; one that this release does not know changes nothing.
    fn act_on(&self, event: &RoomEvent);

    /// Nothing that is kept in memory counts any more.
    fn trust_nothing(&self);

    /// That was so because events could not be read any more, and not because this is the start.
    fn missed(&self);

    /// Everything that the room held at this moment has been acted on.
    fn heard_all(&self, until: Instant);

    /// The store was asked, with or without an answer.
    fn looked(&self, now: Instant);
}

/// What this node hears of the control room. Cheap to clone, safe to use from any thread; nothing here waits.
#[derive(Clone, Debug)]
pub struct ControlRoom(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    heard: mpsc::Sender<Heard>,
    /// Taken by the follower.
    inbox: Mutex<Option<mpsc::Receiver<Heard>>>,
    /// Notified when the store is to be asked at once.
    doubt: Notify,
}

impl Default for ControlRoom {
    fn default() -> Self {
        let (heard, inbox) = mpsc::channel(HEARD_EVENTS);
        Self(Arc::new(Shared { heard, inbox: Mutex::new(Some(inbox)), doubt: Notify::new() }))
    }
}

impl ControlRoom {
    /// An event was acted on. One that finds no place is read from the store, and acted on once more.
    pub fn heard(&self, event: &RoomEvent) {
        if self.0.heard.try_send((event.cursor, event.id)).is_err() {
            self.doubt();
        }
    }

    /// Events may not have arrived: the store is asked at once.
    pub fn doubt(&self) {
        self.0.doubt.notify_one();
    }

    async fn doubted(&self) {
        self.0.doubt.notified().await;
    }

    fn take_inbox(&self) -> Option<mpsc::Receiver<Heard>> {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests;
