//! What the persistence actor is told.

use std::time::Instant;

use actix::prelude::Message;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::storage::commands::{Command, Outcome};

use super::SubmitError;
use super::state::{Class, FairnessKey};

/// Who waits for the outcome, and the command's share of the queue's bound. When nobody waits any more the command
/// has been or will be run all the same.
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

/// A command and who waits for it.
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

/// What became of a batch.
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
