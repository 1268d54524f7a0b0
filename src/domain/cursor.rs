//! Where in a room's history a client stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::EventId;

/// Which history of the store a sequence number counts in. A restored store gets a new one, so that an old
/// position never passes for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// Wraps a number its caller drew at random.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number as the database keeps it.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Another epoch than this one, made of random bits; never 0, which no store begins in.
    pub const fn another(self, drawn: u32) -> Self {
        let drawn = drawn | 1;
        // One in 4 billion draws the old one again; then its neighbour is taken.
        Self(if drawn == self.0 { drawn ^ 2 } else { drawn })
    }

    /// Another epoch than this one, drawn at random. Only shells call this; minds are handed epochs.
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

/// A position in one room: everything up to and including `seq` was seen. Written `<epoch>.<seq>`; opaque to
/// clients, valid on every transport and node. What follows a `~` is read over: streams put there what lets them come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The history the number counts in.
    pub epoch: Epoch,
    /// The last event seen; 0 before the first.
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

/// What stands between a cursor and the proof behind it.
pub const PROOF_MARK: char = '~';

/// The length of a proof: 128 bits in base64url.
const PROOF_LENGTH: usize = 22;

fn is_proof(text: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() == PROOF_LENGTH && text.bytes().all(letters)
}

/// Where a room's history ends, and with what. A position alone is no identity: a copy of the store that lacks the last
/// commits gives the same numbers to other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last position.
    pub cursor: Cursor,
    /// The event at it; unknown where there is none, or it is no longer kept.
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
