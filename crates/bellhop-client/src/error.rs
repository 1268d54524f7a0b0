//! Errors of requests and connections.

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::Response;

/// A request that was not served.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The hub refused it, and a repetition would be refused too.
    #[error("{request}: {status} {code}: {detail}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The problem's stable word; empty when the answer was no problem.
        code: String,
        /// The problem's sentence.
        detail: String,
    },
    /// No answer that could be used, within the client's patience.
    #[error("{request}: {cause}")]
    Unanswered {
        /// Method and path.
        request: String,
        /// The outcome of the last try.
        cause: String,
    },
}

impl CallError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unanswered { .. } => None,
        }
    }

    /// The stable word of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unanswered { .. } => None,
        }
    }
}

/// A room that could not be opened, or came to its end.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A token, a ticket or a poll failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The upgrade to a WebSocket was refused with this answer.
    #[error("the upgrade was refused with {}", .0.status())]
    Refused(Box<Response<Option<Vec<u8>>>>),
    /// The event stream was refused with this status.
    #[error("the event stream was refused with {0}")]
    StreamRefused(u16),
    /// The hub ended it with a close frame, or with the last event of a stream (code 0).
    #[error("the hub closed the connection: {code} {reason}")]
    Closed {
        /// The close code; 1005 without one, 1006 without a close frame.
        code: u16,
        /// The reason's word.
        reason: String,
    },
    /// The WebSocket broke.
    #[error("the socket broke: {0}")]
    Broken(#[source] Box<tungstenite::Error>),
    /// The event stream broke.
    #[error("the event stream broke: {0}")]
    StreamBroken(#[from] reqwest::Error),
    /// The connection could not be made, or failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// Opening, writing or closing took longer than ten seconds.
    #[error("the connection took too long")]
    TimedOut,
    /// The hub said something that its protocol does not have.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

impl ConnectionError {
    /// Whether the hub has too much to do now, so that a later try may succeed.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Refused(answer) => matches!(answer.status().as_u16(), 429 | 503),
            Self::StreamRefused(status) => matches!(status, 429 | 503),
            _ => false,
        }
    }
}

impl From<tungstenite::Error> for ConnectionError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(answer) => Self::Refused(answer),
            tungstenite::Error::Io(error) => Self::Io(error),
            other => Self::Broken(Box::new(other)),
        }
    }
}
