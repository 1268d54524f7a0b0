//! Everything that is ever written, as commands. A lane runs many in one transaction; each is answered on its own.
//!
//! What a file declares is part of this module, so that a new write is named in its file and in its row of the table only.

mod accounts;
mod businesses;
mod command;
mod deliveries;
mod devices;
mod holds;
mod invitations;
mod jobs;
mod maintenance;
mod nodes;
mod orders;
mod outcome;
mod payments;
mod reach;
mod sagas;
mod sealed;
mod table;

pub use accounts::*;
pub use businesses::*;
pub use command::Command;
pub use deliveries::*;
pub use devices::*;
pub use holds::*;
pub use invitations::*;
pub use jobs::*;
pub use maintenance::*;
pub use nodes::*;
pub use orders::*;
pub use outcome::*;
pub use payments::*;
pub use reach::*;
pub use sagas::*;
pub use sealed::*;
pub use table::{Change, Write, WritePriority, WriteRequest, lane_of};
pub(in crate::storage) use table::{outcome_of, write_table};
