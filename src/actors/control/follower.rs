//! Follows the control room: by what arrives, and by comparing the position with the store.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::cursor::Head;
use crate::domain::room::RoomId;
use crate::protocol::event::RoomEvent;
use crate::storage::{RoomReads, StoreError};

use super::ControlListener;
use super::settings::{LOOK_EVERY, PAGE, REORDER_WAIT};
use super::state::{Arrival, ControlState, Heard, Standing, Taken};

/// Sees to it that this node acts on every event of the control room: within milliseconds of its commit where a message tells of it, within
/// a second and the time of an answer where none does. What can no longer be read is made good by dropping all that is kept in
/// memory and checking every socket.
pub struct ControlFollower {
    listener: Arc<dyn ControlListener>,
    store: Arc<dyn RoomReads>,
    /// `None` until the position has been read.
    state: Option<ControlState>,
}

impl ControlFollower {
    /// A follower for this listener.
    pub fn new(listener: Arc<dyn ControlListener>, store: Arc<dyn RoomReads>) -> Self {
        Self { listener, store, state: None }
    }

    /// Runs until it is stopped; after a panic it begins again, as at a start. Only the first one of a node hears what arrives.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut inbox = self.listener.control().take_inbox();
        while !stop.is_cancelled() {
            // What was known is read anew.
            let followed = stop.run_until_cancelled(self.follow(&mut inbox));
            if AssertUnwindSafe(followed).catch_unwind().await.is_err() {
                tracing::error!("following the control room panicked and begins again");
                self.state = None;
                sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn follow(&mut self, inbox: &mut Option<mpsc::Receiver<Heard>>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let room = self.listener.control().clone();
        let mut early = None;
        loop {
            let look = tokio::select! {
                _ = looks.tick() => true,
                () = room.doubted() => true,
                () = reached(early) => true,
                heard = next(inbox) => self.hear(heard, &mut early),
            };
            if look {
                early = None;
                if let Err(error) = self.look().await {
                    tracing::debug!(%error, "the control room could not be read; trying again");
                }
                self.listener.looked(std::time::Instant::now());
            }
        }
    }

    /// Whether the store is to be asked at once.
    fn hear(&mut self, (cursor, id): Heard, early: &mut Option<Instant>) -> bool {
        match self.state.as_mut().map(|state| state.on_event(cursor, id)) {
            Some(Arrival::InOrder) | None => false,
            Some(Arrival::Early) => {
                early.get_or_insert_with(|| Instant::now() + REORDER_WAIT);
                false
            }
            Some(Arrival::Foreign) => true,
        }
    }

    /// Reads until the store's head is reached.
    async fn look(&mut self) -> Result<(), StoreError> {
        loop {
            let begun = std::time::Instant::now();
            let head = self.store.head(RoomId::Control).await?;
            let Some(state) = &mut self.state else {
                self.begin_at(head);
                continue;
            };
            match state.compare(head) {
                Standing::Reached => {
                    self.listener.heard_all(begun);
                    return Ok(());
                }
                Standing::Behind => {
                    let page = page(self.store.as_ref(), state).await?;
                    let heard: Vec<Heard> = page.iter().map(|event| (event.cursor, event.id)).collect();
                    match state.take(&heard) {
                        Taken::From(first) => {
                            page[first..].iter().for_each(|event| self.listener.act_on(event))
                        }
                        Taken::Hole => self.resync(head),
                    }
                }
                Standing::Foreign => self.resync(head),
            }
        }
    }

    fn begin_at(&mut self, head: Head) {
        self.state = Some(ControlState::at(head));
        self.listener.trust_nothing();
    }

    fn resync(&mut self, head: Head) {
        tracing::warn!(cursor = %head.cursor, "the control room goes on elsewhere: everything kept in memory is read again");
        self.listener.missed();
        self.begin_at(head);
    }
}

/// The next events, with the last known one before them where it is still kept.
async fn page(store: &dyn RoomReads, state: &ControlState) -> Result<Vec<RoomEvent>, StoreError> {
    let page = store.events_after(RoomId::Control, state.read_after(), PAGE).await?;
    if page.is_empty() && state.read_after() != state.seq() {
        return store.events_after(RoomId::Control, state.seq(), PAGE).await;
    }
    Ok(page)
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn next(inbox: &mut Option<mpsc::Receiver<Heard>>) -> Heard {
    if let Some(inbox) = inbox
        && let Some(heard) = inbox.recv().await
    {
        return heard;
    }
    std::future::pending().await
}
