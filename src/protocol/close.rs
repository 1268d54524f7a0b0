//! Why a socket ends: one table for the close code, the log, the metric and the advice in the documentation.

use std::fmt;

/// What a client does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Come back with the last cursor, after a pause that grows.
    Reconnect,
    /// Get a new token first.
    Reauthenticate,
    /// Coming back as it is would end the same way.
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
        /// The one reason a socket ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseReason {
            $($(#[$doc])* $name,)*
        }

        impl CloseReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The WebSocket close code.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The stable word: close reason, metric label and log field.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What the client does next.
            pub const fn advice(self) -> Advice {
                match self { $(Self::$name => Advice::$advice,)* }
            }
        }
    };
}

reasons! {
    /// The client said good-bye or its connection ended.
    ClientGone => 1001, "client_gone", Reconnect;
    /// A frame against RFC 6455.
    ProtocolError => 1002, "protocol_error", Stop;
    /// A binary message; frames are JSON text.
    UnsupportedData => 1003, "unsupported_data", Stop;
    /// A text message that is not UTF-8.
    InvalidUtf8 => 1007, "invalid_utf8", Stop;
    /// Three frames in a row that are no frames of this protocol.
    BadFrames => 1008, "bad_frames", Stop;
    /// A message over the limit, refused from its header.
    TooBig => 1009, "too_big", Stop;
    /// Something broke here that this socket needs and others may need as well.
    Internal => 1011, "internal", Reconnect;
    /// The node is going down; the `reconnect` frame before says when to come back.
    Restart => 1012, "restart", Reconnect;
    /// The node has more to do than it can.
    Overloaded => 1013, "overloaded", Reconnect;
    /// A fault of the hub's own in this one socket.
    Error => 4000, "error", Reconnect;
    /// The token ran out and was not refreshed.
    TokenExpired => 4001, "token_expired", Reauthenticate;
    /// The sign-in was ended.
    SessionEnded => 4001, "session_ended", Reauthenticate;
    /// The right to be in the room was lost.
    AccessDenied => 4003, "access_denied", Stop;
    /// There is no such room for this client.
    NoSuchRoom => 4004, "no_such_room", Stop;
    /// The client took in less than was sent, twice within a minute or without a break for ten seconds.
    TooSlow => 4008, "too_slow", Reconnect;
    /// No pong came, or the network gave the peer up.
    HeartbeatMissed => 4009, "heartbeat_missed", Reconnect;
    /// More frames than a client may send.
    TooMany => 4029, "too_many", Reconnect;
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The table as Markdown, which is how it gets into the documentation.
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
