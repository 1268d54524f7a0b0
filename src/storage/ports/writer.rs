//! Writing: transactions of commands, each on a connection of its own.

use async_trait::async_trait;

use crate::storage::commands::{Command, Committed};
use crate::storage::error::StoreError;

/// First or repeated run of commands by a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The commands cannot have happened.
    First,
    /// An earlier COMMIT had no answer: each command's id is claimed first, which waits for a transaction that may still be
    /// dying, and a command that had happened is answered with its first outcome.
    AfterUnknown,
}

/// One writer with a connection of its own. Dropping `run` before its end leaves an unknown outcome and nothing else, so
/// callers let it finish.
#[async_trait]
pub trait Lane: Send {
    /// Runs the commands in order as one transaction and gives the outcome of each. Either all are committed or none.
    ///
    /// Room events get the next numbers of their rooms under the rooms' row locks, so that their order is commit
    /// order and there are no holes. Errors say what is known: [`StoreError::NotHappened`], [`StoreError::TooSlow`] and
    /// [`StoreError::Unavailable`] have changed nothing; after [`StoreError::OutcomeUnknown`] call again with
    /// [`Attempt::AfterUnknown`]. A lane that lost its connection takes a new one at the next call.
    async fn run(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, StoreError>;
}
