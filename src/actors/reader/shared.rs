//! The part of a reader that the worker of its thread reaches.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

use crate::actors::held_ephemerals::HeldEphemerals;
use crate::actors::room::live_event::LiveEvent;
use crate::actors::subscription::Disposition;
use crate::actors::worker::subscriber::{CloseNotice, Delivered, Subscriber};
use crate::actors::worker::thread::Worker;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::state::EventBuffer;

/// Shared by a reader and its worker.
pub(super) struct ReaderShared {
    pub(super) worker: Rc<Worker>,
    pub(super) principal: Principal,
    /// `None` until the reader joins its room.
    pub(super) buffer: RefCell<Option<EventBuffer>>,
    /// `None` for a reader that takes no ephemeral events.
    pub(super) ephemerals: RefCell<Option<HeldEphemerals>>,
    /// Notified when the reader has something to do.
    pub(super) notify: Notify,
    pub(super) closed: Cell<Option<CloseNotice>>,
    /// How often the reader was told to check its access again.
    pub(super) access_checks: Cell<u64>,
}

impl ReaderShared {
    pub(super) fn new(worker: Rc<Worker>, principal: Principal) -> Self {
        Self {
            worker,
            principal,
            buffer: RefCell::default(),
            ephemerals: RefCell::default(),
            notify: Notify::new(),
            closed: Cell::new(None),
            access_checks: Cell::new(0),
        }
    }
}

impl Subscriber for ReaderShared {
    fn principal(&self) -> Principal {
        self.principal
    }

    fn deliver(&self, _: RoomId, event: &LiveEvent, _more_queued: bool) -> Delivered {
        let mut buffer = self.buffer.borrow_mut();
        let limits = &self.worker.deps.settings;
        let delivered = buffer.as_mut().map_or(Delivered::Ignored, |buffer| buffer.on_event(event, limits));
        if delivered != Delivered::Ignored {
            self.notify.notify_one();
        }
        delivered
    }

    fn deliver_ephemeral(&self, room: RoomId, event: &EncodedEphemeral, _more_queued: bool) {
        if let Some(held) = self.ephemerals.borrow_mut().as_mut() {
            held.hold(room, event);
            self.notify.notify_one();
        }
    }

    fn set_head(&self, _: RoomId, head: Cursor) {
        if let Some(buffer) = self.buffer.borrow_mut().as_mut()
            && buffer.on_head(head) == Disposition::CatchUp
        {
            self.notify.notify_one();
        }
    }

    fn close(&self, notice: CloseNotice) {
        self.closed.set(self.closed.get().or(Some(notice)));
        self.notify.notify_one();
    }

    fn recheck_access(&self) {
        self.access_checks.set(self.access_checks.get() + 1);
        self.notify.notify_one();
    }
}
