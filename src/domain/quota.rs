//! The rule of every limit, pure: the generic cell rate algorithm, which is a leaky bucket kept as one time. Written here
//! because time has to be passed in.

use std::time::{Duration, Instant};

use super::time::Timestamp;

/// A point in time of some clock.
pub trait Moment: Copy + Ord {
    /// So much later.
    fn plus(self, time: Duration) -> Self;
    /// What has passed since; nothing when that is still to come.
    fn since(self, earlier: Self) -> Duration;
}

impl Moment for Timestamp {
    fn plus(self, time: Duration) -> Self {
        Self::plus(self, time)
    }

    fn since(self, earlier: Self) -> Duration {
        Self::since(self, earlier)
    }
}

impl Moment for Instant {
    fn plus(self, time: Duration) -> Self {
        self + time
    }

    fn since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// So many requests at once, and one more with each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// At least 1.
    pub burst: u32,
    /// How long one request takes to be given back.
    pub interval: Duration,
}

impl Quota {
    /// `count` requests in each `window`, of which at most `burst` at once. All are taken as at least 1.
    pub fn new(count: u32, window: Duration, burst: u32) -> Self {
        Self { burst: burst.max(1), interval: (window / count.max(1)).max(Duration::from_micros(1)) }
    }

    fn span(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }

    /// Spends one, or says how long to wait. `whole_at`, when everything is given back, is all there is to remember; in
    /// the past nothing is spent.
    pub fn spend<M: Moment>(self, whole_at: &mut M, now: M) -> Decision {
        let full = now.plus(self.span());
        // A clock that was set back must not lock anybody out for longer than the quota can.
        let spent_until = (*whole_at).clamp(now, full).plus(self.interval);
        if spent_until > full {
            return Decision::Refused { wait: spent_until.since(full) };
        }
        *whole_at = spent_until;
        let left = full.since(spent_until).as_micros() / self.interval.as_micros();
        Decision::Admitted {
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: spent_until.since(now),
        }
    }
}

/// What spending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was spent.
    Admitted {
        /// How many more could be spent now.
        remaining: u32,
        /// Until nothing is spent any more.
        reset: Duration,
    },
    /// Nothing was spent.
    Refused {
        /// Until one can be spent.
        wait: Duration,
    },
}
