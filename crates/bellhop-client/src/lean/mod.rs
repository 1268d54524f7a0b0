//! HTTP and WebSockets with as little work as possible, for load generators: what is measured is the hub, which shares
//! the machine. Requests are bytes that the caller writes; answers and events are read where they arrived.

mod connection;
mod socket;

pub use connection::{ANSWER_TIMEOUT, Answer, Connection, write_request};
pub use socket::{Greeting, Socket, handshake, masked};

/// An exchange that failed.
#[derive(Debug, thiserror::Error)]
pub enum LeanError {
    /// The connection was not made, or broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No whole answer came within [`ANSWER_TIMEOUT`].
    #[error("no answer in time")]
    TimedOut,
    /// The other side closed the connection before this.
    #[error("closed before {0}")]
    Closed(&'static str),
    /// The upgrade was refused with this status line.
    #[error("refused: {0}")]
    Refused(String),
    /// The other side sent what this client does not read.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

impl From<httparse::Error> for LeanError {
    fn from(error: httparse::Error) -> Self {
        Self::Unexpected(error.to_string())
    }
}
