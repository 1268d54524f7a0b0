//! Zones: the parts of a city in which drivers work.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// Most zones that one process knows.
const MAX_ZONES: usize = 4_096;

/// Most bytes of a zone's name: 64 characters.
const MAX_BYTES: usize = 256;

/// The names known to this process. They are never forgotten, so that a zone is as cheap to copy as an id.
static KNOWN: RwLock<BTreeSet<&'static str>> = RwLock::new(BTreeSet::new());

/// The name of a zone that drivers work in. Names enter by operators, who approve the zones of drivers, and never by what clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneName(&'static str);

impl ZoneName {
    /// The zone of this name, known from then on. `None`: this process knows as many as it may, or the name is too long.
    pub fn learn(name: &str) -> Option<Self> {
        if let Some(known) = Self::known(name) {
            return Some(known);
        }
        if name.is_empty() || name.len() > MAX_BYTES {
            return None;
        }
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(name) {
            return Some(Self(name));
        }
        if known.len() >= MAX_ZONES {
            return None;
        }
        let name: &'static str = Box::leak(Box::from(name));
        known.insert(name);
        Some(Self(name))
    }

    /// The zone of this name, if this process knows it.
    pub fn known(name: &str) -> Option<Self> {
        KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(name).copied().map(Self)
    }

    /// The name as operators wrote it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_once_it_was_learned() {
        let name = "only this test's zone";
        assert_eq!(ZoneName::known(name), None);
        let learned = ZoneName::learn(name).unwrap();
        assert_eq!((learned.as_str(), ZoneName::known(name)), (name, Some(learned)));
        assert_eq!(ZoneName::learn(name), Some(learned));
        assert_eq!((ZoneName::learn(""), ZoneName::learn(&"x".repeat(257))), (None, None));
    }
}
