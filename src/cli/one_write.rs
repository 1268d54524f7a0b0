//! One write of a command that has the database to itself or shares it with running hubs.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{Command, Outcome, Write};
use crate::storage::{Attempt, Lane, StoreError};

/// The write as a command of now.
pub(super) fn command(write: Write) -> Command {
    Command { id: CommandId::generate(), at: Timestamp::now(), write }
}

/// Commits the write and gives what came of it, which may be that it was refused.
///
/// # Errors
/// When the store did not take it.
pub(super) async fn run_one(lane: &mut dyn Lane, write: Write) -> Result<Outcome, StoreError> {
    let committed = lane.run(&[command(write)], Attempt::First).await?;
    let outcome = committed.outcomes.into_iter().next();
    outcome.ok_or_else(|| StoreError::Corrupt("a command was committed without an outcome".to_owned()))
}
