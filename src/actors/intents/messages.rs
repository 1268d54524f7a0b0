//! Messages to the dispatcher of intents.

use actix::prelude::Message;

/// A commit has made intents due.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct IntentsDue;

/// Ends the actor; calls under way are dropped, and made again by the next hub with the same keys.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
