//! Positions in the history of a room.
#![expect(clippy::disallowed_methods, reason = "new epochs are made here")]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::EventId;

/// The history that sequence numbers belong to; a restored store gets a new one.
///
/// Without it, positions of two histories would look the same. Example: a room has the events 1, 2, 3, and a client has seen them
/// all. A backup from the time of event 1 is restored, and two other events become 2 and 3. The client resumes at 3, gets nothing,
/// and never learns of them. With the epoch its cursor belongs to the old history, and the answer is `resync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// Wraps a number that the caller drew at random.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number as stored in the database.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// A different epoch made of the random bits in `drawn`; never 0.
    pub const fn another(self, drawn: u32) -> Self {
        let drawn = drawn | 1;
        // Once in 4 billion draws it is the old one; then its neighbour is used.
        Self(if drawn == self.0 { drawn ^ 2 } else { drawn })
    }

    /// A different epoch, drawn at random. Only actors call this; their states are given epochs.
    pub fn successor(self) -> Self {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        self.another(u32::try_from(random >> 32).expect("the upper half of 64 bits has 32"))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A position in one room: every event up to and including `seq` was seen. Written as `<epoch>.<seq>`, opaque to clients, valid on
/// every transport and node. A proof may follow after `~`, with which an event stream reconnects; reading a cursor skips it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The history that `seq` belongs to.
    pub epoch: Epoch,
    /// The sequence number of the last event seen; 0 before the first.
    pub seq: u64,
}

impl Cursor {
    /// A position in the history `epoch`.
    pub const fn new(epoch: Epoch, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// The separator between a cursor and its proof.
pub const PROOF_MARK: char = '~';

/// The length of a proof in characters: 128 bits in base64url.
const PROOF_LENGTH: usize = 22;

fn is_proof(text: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() == PROOF_LENGTH && text.bytes().all(letters)
}

/// The last position of a room, and the event there. A position alone does not identify an event: a copy of the store that lacks the
/// last commits gives the same numbers to other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last position.
    pub cursor: Cursor,
    /// The event at that position; `None` where there is none or it is not stored any more.
    pub last: Option<EventId>,
}

/// A text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor as the server gave it")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let text = match text.split_once(PROOF_MARK) {
            Some((cursor, proof)) if is_proof(proof) => cursor,
            Some(_) => return Err(CursorError),
            None => text,
        };
        let (epoch, seq) = text.split_once('.').ok_or(CursorError)?;
        if epoch.len() != 8 || !epoch.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(CursorError);
        }
        // 19 digits hold every number the databases can count to.
        if seq.is_empty() || seq.len() > 19 || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CursorError);
        }
        let epoch = u32::from_str_radix(epoch, 16).map_err(|_| CursorError)?;
        Ok(Self { epoch: Epoch(epoch), seq: seq.parse().map_err(|_| CursorError)? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_epoch_is_never_the_same_and_never_zero() {
        for (old, drawn) in [(7, 7), (7, 6), (7, 9), (0, 0), (5, u32::MAX), (u32::MAX, u32::MAX)] {
            let new = Epoch::new(old).another(drawn);
            assert!(new != Epoch::new(old) && new != Epoch::new(0), "{old} {drawn}");
        }
        let old = Epoch::new(3);
        assert_ne!(old.successor(), old);
    }

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let cursor = Cursor::new(Epoch::new(0xbeef), 42);
        assert_eq!(cursor.to_string(), "0000beef.42");
        assert_eq!("0000beef.42".parse(), Ok(cursor));
        assert_eq!(
            "0000beef.42~AbCdEfGhIjKlMnOpQrSt-_".parse(),
            Ok(cursor),
            "the id of an event of a stream"
        );
        for bad in [
            "",
            ".",
            "1.2",
            "0000beef.",
            "0000beef.-1",
            "0000beef.+1",
            "0000BEEF.1",
            "0000beef.1.2",
            "0000beef. 1",
            "0000beef.99999999999999999999",
            "0000beef.42~",
            "0000beef.42~AbCdEfGhIjKlMnOpQrSt-",
            "0000beef.42~AbCdEfGhIjKlMnOpQrSt=_",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
