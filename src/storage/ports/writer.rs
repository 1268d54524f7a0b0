//! Writing: transactions of commands, each on a connection of its own.

use async_trait::async_trait;

use crate::storage::command::{Command, Committed};
use crate::storage::error::StoreError;

/// Whether a lane runs these commands for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// They cannot have happened.
    First,
    /// An earlier COMMIT had no answer: each command's id is claimed before anything else, waiting for a
    /// transaction that may still be dying, and one that had happened is answered with its first outcome.
    AfterUnknown,
}

/// One writer with a connection of its own. Dropping it in the middle of `run` leaves nothing behind but an
/// unknown outcome, so callers let `run` finish.
#[async_trait]
pub trait Lane: Send {
    /// Runs the commands in order as one transaction and answers each. Either all of them are committed or none.
    ///
    /// Room events get the next numbers of their rooms under the rooms' row locks, so that their order is commit
    /// order and there are no holes. Errors say what is known: [`StoreError::NotHappened`], [`StoreError::TooSlow`] and
    /// [`StoreError::Unavailable`] have changed nothing; after [`StoreError::OutcomeUnknown`] call again with
    /// [`Attempt::AfterUnknown`]. A lane that lost its connection takes a new one at the next call.
    async fn run(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, StoreError>;
}
