//! Close reasons of connections: one table gives the close code, the word in logs and metrics, and the advice in the documentation.

use std::fmt;

/// The advice to a client after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Connect again with the last cursor, after a pause that grows with each attempt.
    Reconnect,
    /// Get a new token, then connect again.
    Reauthenticate,
    /// Do not connect again: without a change it would end the same way.
    Stop,
}

impl Advice {
    /// The word in the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconnect => "reconnect",
            Self::Reauthenticate => "re-authenticate",
            Self::Stop => "stop",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $word:literal, $advice:ident;)*) => {
        /// The reason why a connection ended; each connection has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseReason {
            $($(#[$doc])* $name,)*
        }

        impl CloseReason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The WebSocket close code. Two reasons may share one.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The stable word in the close frame, as metric label and as log field. No two reasons share one.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The advice to the client.
            pub const fn advice(self) -> Advice {
                match self { $(Self::$name => Advice::$advice,)* }
            }
        }
    };
}

reasons! {
    /// The client closed the connection, or the network did.
    ClientGone => 1001, "client_gone", Reconnect;
    /// A frame that violates RFC 6455.
    ProtocolError => 1002, "protocol_error", Stop;
    /// A binary message; frames are JSON text.
    UnsupportedData => 1003, "unsupported_data", Stop;
    /// A text message that is not UTF-8.
    InvalidUtf8 => 1007, "invalid_utf8", Stop;
    /// Three messages in a row that are not frames of this protocol.
    BadFrames => 1008, "bad_frames", Stop;
    /// A message over the size limit, refused as soon as its header is read.
    TooBig => 1009, "too_big", Stop;
    /// A part of the hub failed that this connection and perhaps others need.
    Internal => 1011, "internal", Reconnect;
    /// The node is stopping; the `reconnect` frame before says when to connect again.
    Restart => 1012, "restart", Reconnect;
    /// The node is overloaded.
    Overloaded => 1013, "overloaded", Reconnect;
    /// A fault of the hub in this one connection.
    Error => 4000, "error", Reconnect;
    /// The token expired and was not refreshed.
    TokenExpired => 4001, "token_expired", Reauthenticate;
    /// The login session was ended.
    SessionEnded => 4001, "session_ended", Reauthenticate;
    /// The client may not be in the room any more.
    AccessDenied => 4003, "access_denied", Stop;
    /// The room does not exist, or this client may not see it.
    NoSuchRoom => 4004, "no_such_room", Stop;
    /// The client read less than was sent to it: twice within a minute, or for ten seconds without a break.
    TooSlow => 4008, "too_slow", Reconnect;
    /// No pong came in time, or the network reported the peer as unreachable.
    HeartbeatMissed => 4009, "heartbeat_missed", Reconnect;
    /// The client sent more frames than it may.
    TooMany => 4029, "too_many", Reconnect;
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The table as Markdown; `docs/protocol.md` contains it, and a test compares.
pub fn to_markdown() -> String {
    let mut out = String::from("| code | reason | advice |\n| --- | --- | --- |\n");
    for r in CloseReason::ALL {
        out.push_str(&format!("| {} | `{}` | {} |\n", r.code(), r.as_str(), r.advice().as_str()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = CloseReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), CloseReason::ALL.len());
    }

    #[test]
    fn the_documented_close_codes_are_these() {
        let docs = include_str!("../../docs/protocol.md");
        assert!(
            docs.contains(&to_markdown()),
            "docs/protocol.md must contain this table:\n{}",
            to_markdown()
        );
    }
}
