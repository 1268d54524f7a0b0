//! Messages that the bridge receives.

use actix::prelude::Message;
use tokio::sync::oneshot;

use crate::bus::Received;

/// The next thing that the bus says.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Hear {
    pub(super) received: Received,
    /// Told when it is done; dropped by a panic.
    pub(super) done: oneshot::Sender<()>,
}
