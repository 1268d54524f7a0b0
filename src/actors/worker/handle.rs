//! The handle to one worker thread, for other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::actors::mailbox::{Mailbox, SendError};
use crate::actors::room::listener::Listener;
use crate::actors::room::live_event::LiveEvent;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::actor::WorkerActor;
use super::messages::WorkerMessage;
use super::settings::{EPHEMERAL_BELOW, MAILBOX, RESERVED};

/// Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub(super) struct WorkerHandle {
    mailbox: Mailbox<WorkerActor>,
    id: usize,
    /// Messages sent and not handled: the bound of the mailbox.
    waiting: Arc<AtomicUsize>,
}

impl WorkerHandle {
    pub(super) fn new(id: usize, mailbox: Mailbox<WorkerActor>, waiting: Arc<AtomicUsize>) -> Self {
        Self { mailbox, id, waiting }
    }

    /// Sends a message that is not repeated, however many events wait: places are reserved for it ([`RESERVED`]). Refused
    /// when those are taken too or the thread is gone.
    pub(super) fn send(&self, message: WorkerMessage) -> Result<(), SendError> {
        self.send_below(MAILBOX + RESERVED, message)
    }

    /// Sends a message that is repeated if it gets lost; refused when too much waits.
    pub(super) fn try_send(&self, message: WorkerMessage) -> Result<(), SendError> {
        self.send_below(MAILBOX, message)
    }

    /// Sends while fewer than `most` wait.
    fn send_below(&self, most: usize, message: WorkerMessage) -> Result<(), SendError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(SendError::Full);
        }
        self.mailbox.offer(message).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

impl Listener for WorkerHandle {
    fn id(&self) -> usize {
        self.id
    }

    fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }

    fn deliver(&self, room: RoomId, event: LiveEvent) -> Result<(), SendError> {
        self.try_send(WorkerMessage::Event(room, event))
    }

    fn deliver_ephemeral(&self, room: RoomId, event: EncodedEphemeral) {
        let _ = self.send_below(EPHEMERAL_BELOW, WorkerMessage::Ephemeral(room, event));
    }

    fn set_head(&self, room: RoomId, head: Cursor) -> Result<(), SendError> {
        self.try_send(WorkerMessage::Head(room, head))
    }
}
