//! Output of a reader, and its limits.

use crate::actors::room::live_event::LiveEvent;
use crate::actors::worker::subscriber::CloseNotice;
use crate::domain::cursor::Cursor;
use crate::protocol::ephemeral::EncodedEphemeral;

/// The next thing for a reader's client.
#[derive(Debug)]
pub enum ReaderItem {
    /// The next events, in order without holes, at least one.
    Events(Vec<LiveEvent>),
    /// Ephemeral events, at least one.
    Ephemerals(Vec<EncodedEphemeral>),
    /// The position asked for is gone: go on from this one.
    Resync(Cursor),
    /// The end: nothing more will come.
    Closed(CloseNotice),
}

/// Most events that a client takes at once.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// Most events; also how many are read from the log at once.
    pub events: usize,
    /// Most bytes; one event that is larger comes alone.
    pub bytes: usize,
}
