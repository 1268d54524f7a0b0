//! The port through which lanes tell of commits.

use crate::protocol::event::RoomEvent;
use crate::storage::commands::{Command, Outcome};

/// Called for every commit, in commit order for each lane, before the callers are answered. Must return soon: the lane waits.
pub trait CommitListener: Send + Sync + 'static {
    /// These commands were committed with these outcomes; `events` are the numbered events of the same transaction.
    fn committed(&self, commands: &[Command], outcomes: &[Outcome], events: Vec<RoomEvent>);

    /// A COMMIT of these commands had no answer. They are tried until it is known what became of them, which can take as
    /// long as the store is away; until then they may have happened. Called once, before [`Self::committed`]
    /// if they did.
    fn commit_unknown(&self, commands: &[Command]);
}
