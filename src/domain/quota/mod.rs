//! The rules of rate limits, pure. [`Usage`] is a sliding window log: a quota holds in any window of its length.
//! [`LeakyBucket`] allows a burst beyond a steady rate. Time is passed in.

mod leaky_bucket;
pub mod table;
mod usage;

use std::time::Duration;

pub use leaky_bucket::LeakyBucket;
pub use usage::Usage;

/// At most `count` requests in any period of this `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At least 1.
    pub count: u32,
    /// At least a millisecond.
    pub length: Duration,
}

impl Window {
    /// A window of `count` requests in any `length`; smaller values are raised to the bounds of the fields.
    pub fn new(count: u32, length: Duration) -> Self {
        Self { count: count.max(1), length: length.max(Duration::from_millis(1)) }
    }

    /// One of `parts` shares of the window's number, at least 1.
    #[must_use]
    pub fn share(self, parts: u32) -> Self {
        Self { count: (self.count / parts.max(1)).max(1), ..self }
    }

    /// The same window for `times` as many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { count: self.count.saturating_mul(times), ..self }
    }
}

/// A limit of one window, or of a short and a long one that both have to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The only window, or the shorter of two.
    pub short: Window,
    /// The longer window, if there are two.
    pub long: Option<Window>,
}

impl From<Window> for Quota {
    fn from(short: Window) -> Self {
        Self { short, long: None }
    }
}

impl Quota {
    /// One of `parts` shares of both windows, at least 1 of each.
    #[must_use]
    pub fn share(self, parts: u32) -> Self {
        Self { short: self.short.share(parts), long: self.long.map(|long| long.share(parts)) }
    }

    /// Both windows for `times` as many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { short: self.short.times(times), long: self.long.map(|long| long.times(times)) }
    }
}

/// One of the windows of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// The window [`Quota::short`].
    Short,
    /// The window [`Quota::long`].
    Long,
}

/// The result of consuming from a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One was consumed.
    Admitted {
        /// The number that could still be consumed now.
        remaining: u32,
        /// The time until this number grows.
        reset: Duration,
    },
    /// Nothing was consumed.
    Refused {
        /// The time until one can be consumed.
        wait: Duration,
    },
}

#[cfg(test)]
mod tests;
