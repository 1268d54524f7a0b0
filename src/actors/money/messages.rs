//! Messages to the worker of money.

use actix::prelude::Message;

/// A commit has left money to work on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct MoneyDue;

/// Ends the actor; calls under way are dropped, and made again by the next hub with the same keys.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
