//! Messages to the persistence actor.

use std::time::Instant;

use actix::prelude::Message;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::storage::commands::{Command, Outcome};

use super::errors::SubmitError;
use super::queued_command::{Class, FairnessKey};

/// The caller that waits for an outcome, with its command's share of the queue's bound. A command is run even if its caller
/// has stopped waiting.
pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<Result<Outcome, SubmitError>>,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Waiter {
    /// Answers and gives the share back. A caller that has gone is no error.
    pub(super) fn answer(self, outcome: Result<Outcome, SubmitError>) {
        drop(self.permit);
        let _ = self.reply.send(outcome);
    }
}

/// Run this command.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Submit {
    pub(super) job: Job,
    pub(super) lane: usize,
    pub(super) class: Class,
    pub(super) key: FairnessKey,
    pub(super) bytes: usize,
    pub(super) deadline: Instant,
}

/// A command with its caller.
pub(super) struct Job {
    pub(super) command: Command,
    pub(super) waiter: Waiter,
}

/// This lane has answered its batch and can take the next.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LaneIdle {
    pub(super) lane: usize,
    pub(super) ended: BatchEnd,
}

/// The end of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchEnd {
    /// All of it was committed.
    Committed,
    /// Some of it was not, or only in parts.
    Failed,
}

/// Answer everything that waits, then stop: the hub is going down.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain {
    pub(super) done: oneshot::Sender<()>,
}
