//! A write on its way to a lane.

use crate::domain::ids::CommandId;
use crate::domain::time::Timestamp;

use super::Write;

/// A command with the id under which it happens at most once, however often a lane tries it.
#[derive(Clone, Debug)]
pub struct Command {
    /// Recorded in the same commit.
    pub id: CommandId,
    /// Time of the request by the clock of its node. What it does is decided at the store's time.
    pub at: Timestamp,
    /// The change itself.
    pub write: Write,
}
