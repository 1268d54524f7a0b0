//! Readers: long polls and event streams. A reader subscribes to one room as a session does, but its events are taken from
//! it when its client has room for more, and not pushed.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

mod messages;
mod shared;
mod state;

use std::any::Any;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::auth::authorization::{RoomAccess, room_access};
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::JoinedRoom;

use super::held_ephemerals::HeldEphemerals;
use super::room::RoomUnavailable;
use super::room::live_event::History;
use super::subscription::{JoinResult, Requested};
use super::token_expiry::{EXPIRY_GRACE, instant_of};
use super::worker::subscriber::{CloseNotice, Subscriber as _, SubscriberKey};
use super::worker::thread::Worker;
use shared::ReaderShared;
use state::EventBuffer;

pub use messages::{PageLimits, ReaderItem};

/// One long poll or event stream, on the worker thread that serves it. It is told of the end of its login session from the
/// moment it exists, so a check of the login session after that cannot be out of date. Its waiting events are bounded as for a
/// session; a client that does not take them goes on from the log.
pub struct Reader {
    shared: Rc<ReaderShared>,
    key: SubscriberKey,
    room: Option<RoomId>,
    resync: Option<Cursor>,
    /// The number of access checks that were made.
    access_checked: u64,
    expires: Instant,
    /// Counts the reader towards its user's and address's limits.
    _permit: Box<dyn Any>,
}

impl Reader {
    /// A reader without a room. It ends 30 s after its token, as a socket does. `permit` is held until it is dropped.
    pub fn new(
        worker: &Rc<Worker>,
        who: Principal,
        token_expires_at: Timestamp,
        permit: impl Sized + 'static,
    ) -> Self {
        let shared = Rc::new(ReaderShared::new(worker.clone(), who));
        worker.deps.open_readers.fetch_add(1, Ordering::Relaxed);
        Self {
            key: worker.add(shared.clone()),
            shared,
            room: None,
            resync: None,
            access_checked: 0,
            expires: instant_of(token_expires_at, Timestamp::now(), Instant::now()) + EXPIRY_GRACE,
            _permit: Box::new(permit),
        }
    }

    /// Subscribes to a room that the client may be in, once: from `cursor` as the client wrote it, or from the head.
    ///
    /// # Errors
    /// When the room does not answer; the reader is of no use then.
    pub async fn join(&mut self, room: RoomId, cursor: Option<&str>) -> Result<JoinedRoom, RoomUnavailable> {
        *self.shared.buffer.borrow_mut() = Some(EventBuffer::joining(room));
        self.room = Some(room);
        self.shared.worker.subscribe(room, self.key);
        let requested = Requested::parse(cursor);
        let head = self.shared.worker.join(room, requested).await?;
        let result = self.buffer(|buffer| buffer.joined(head, requested));
        self.resync = (result == JoinResult::Unrecoverable).then_some(head);
        Ok(JoinedRoom { room, cursor: self.position(), recovered: result == JoinResult::Recovered })
    }

    /// The hub's time.
    pub fn now(&self) -> Timestamp {
        self.shared.worker.deps.reads.now()
    }

    /// Takes ephemeral events too, from now on.
    pub fn take_ephemerals(&self) {
        self.shared.ephemerals.borrow_mut().get_or_insert_default();
    }

    /// The position up to which everything was taken.
    pub fn position(&self) -> Cursor {
        self.buffer(|buffer| buffer.taken())
    }

    fn buffer<T>(&self, act: impl FnOnce(&mut EventBuffer) -> T) -> T {
        act(self.shared.buffer.borrow_mut().as_mut().expect("a reader joins a room before it is read from"))
    }

    /// The next item that is there now, read from the log if need be; `None` when the client has everything. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// When the room or the store does not answer; asking again later is fine.
    pub async fn ready(&mut self, limits: PageLimits) -> Result<Option<ReaderItem>, RoomUnavailable> {
        let room = self.room.expect("a reader joins a room before it is read from");
        loop {
            if let Some(notice) = self.closed() {
                // Who is to come back has to hear first that its position leads nowhere.
                let lost = self.resync.filter(|_| notice.reason == CloseReason::Restart);
                return Ok(Some(lost.map_or(ReaderItem::Closed(notice), ReaderItem::Resync)));
            }
            if self.shared.access_checks.get() > self.access_checked {
                self.check_access(room).await?;
                continue;
            }
            if let Some(head) = self.resync.take() {
                return Ok(Some(ReaderItem::Resync(head)));
            }
            let events = self.buffer(|buffer| buffer.take(limits));
            if !events.is_empty() {
                return Ok(Some(ReaderItem::Events(events)));
            }
            if !self.buffer(|buffer| buffer.is_catching_up()) {
                let mut held = self.shared.ephemerals.borrow_mut();
                let ephemerals = held.as_mut().map(HeldEphemerals::take).unwrap_or_default();
                return Ok((!ephemerals.is_empty()).then_some(ReaderItem::Ephemerals(ephemerals)));
            }
            self.read_history(room, limits).await?;
        }
    }

    /// The end of this reader, if it has come.
    fn closed(&self) -> Option<CloseNotice> {
        let expired = || CloseNotice::now(CloseReason::TokenExpired);
        self.shared.closed.get().or_else(|| (Instant::now() >= self.expires).then(expired))
    }

    async fn check_access(&mut self, room: RoomId) -> Result<(), RoomUnavailable> {
        let checks = self.shared.access_checks.get();
        let reads = &self.shared.worker.deps.reads;
        if room_access(reads, self.shared.principal, room).await? == RoomAccess::NoSuchRoom {
            self.shared.close(CloseNotice::now(CloseReason::AccessDenied));
        }
        self.access_checked = checks;
        Ok(())
    }

    /// Reads a page into the buffer, or notes that the history is gone.
    async fn read_history(&mut self, room: RoomId, limits: PageLimits) -> Result<(), RoomUnavailable> {
        let deps = &self.shared.worker.deps;
        match deps.rooms.history(room, self.position(), limits.events).await? {
            History::Events(page) => {
                let queued = self.buffer(|buffer| buffer.history_read(&page, &deps.settings));
                deps.history_deliveries.inc_by(queued);
            }
            History::Gone(head) | History::InStore(head) => {
                self.buffer(|buffer| buffer.history_gone(head));
                self.resync = Some(head);
            }
        }
        Ok(())
    }

    /// Returns when [`Reader::ready`] may have something new. Dropping the future loses nothing.
    pub async fn changed(&self) {
        // A notification and the end of the token are the same here: `ready` is called next.
        let _ = tokio::time::timeout_at(self.expires.into(), self.shared.notify.notified()).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let worker = &self.shared.worker;
        worker.remove(self.key, self.room.into_iter());
        worker.deps.open_readers.fetch_sub(1, Ordering::Relaxed);
    }
}
