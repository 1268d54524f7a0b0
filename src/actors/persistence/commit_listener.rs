//! The port through which lanes tell of commits.

use crate::storage::commands::{Command, Committed};

/// Called for every commit, in commit order for each lane, before the callers are answered. Must return soon: the lane waits.
pub trait CommitListener: Send + Sync + 'static {
    /// These commands were committed, and so was what came of them. Only the outcomes are of use afterwards: the rest may be taken.
    fn committed(&self, commands: &[Command], committed: &mut Committed);

    /// A COMMIT of these commands had no answer. They are tried until it is known what became of them, which can take as
    /// long as the store is away; until then they may have happened. Called once, before [`Self::committed`]
    /// if they did.
    fn commit_unknown(&self, commands: &[Command]);
}
