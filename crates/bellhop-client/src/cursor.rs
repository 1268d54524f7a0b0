//! Positions in a room.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in a room's history, `80a19d51.42`: everything up to and including it was seen. The protocol lets clients
/// treat it as opaque; it is taken apart here to find out what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The history the number counts in.
    pub epoch: u32,
    /// The last event seen; 0 before the first.
    pub seq: u64,
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Reads a cursor; a proof behind `~`, as event streams add it, is left out.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let position = text.split('~').next().unwrap_or_default();
        let (epoch, seq) = position.split_once('.').ok_or(InvalidCursor)?;
        let epoch = u32::from_str_radix(epoch, 16).map_err(|_| InvalidCursor)?;
        Ok(Self { epoch, seq: seq.parse().map_err(|_| InvalidCursor)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.epoch, self.seq)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_written_as_it_was_read_without_its_proof() {
        let cursor: Cursor = "0000beef.42".parse().unwrap();
        assert_eq!((cursor.epoch, cursor.seq, cursor.to_string().as_str()), (0xbeef, 42, "0000beef.42"));
        assert_eq!("0000beef.42~AAAAAAAAAAAAAAAAAAAAAA".parse(), Ok(cursor));
        for text in ["", "beef", "beef.", ".1", "beef.x", "x.1"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
