//! A cached value and its age.

use std::time::Duration;

/// Whether a cached value may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Read just now, or within its time.
    Fresh,
    /// The store is away and this was the last read; its time ended so long ago.
    Stale(Duration),
}

/// A value that was read, perhaps some time ago.
#[derive(Clone, Debug)]
pub struct Cached<T> {
    /// The value itself.
    pub value: T,
    /// Whether it may be out of date.
    pub freshness: Freshness,
}

impl<T> Cached<T> {
    pub(super) fn fresh(value: T) -> Self {
        Self { value, freshness: Freshness::Fresh }
    }
}
