//! Messages to the actor of the sweep.

use actix::prelude::Message;

/// Sweep now.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SweepNow;

/// Ends the actor; what it has submitted is still written.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
