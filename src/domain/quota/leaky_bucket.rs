//! A leaky bucket.

use std::time::{Duration, Instant};

/// A steady rate with a burst: the generic cell rate algorithm. A window may hold the burst and, in addition, what its length gives
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyBucket {
    /// Most that can be consumed at once, at least 1.
    pub burst: u32,
    /// The time until one more can be consumed.
    pub interval: Duration,
}

impl LeakyBucket {
    /// A bucket of `count` in each `window`, at most `burst` of them at once. Each is raised to at least 1.
    pub fn new(count: u32, window: Duration, burst: u32) -> Self {
        Self { burst: burst.max(1), interval: (window / count.max(1)).max(Duration::from_micros(1)) }
    }

    /// Consumes one. `full_at` is all the state of a bucket: the time at which it is full again, in the past when nothing is
    /// consumed.
    ///
    /// # Errors
    /// The time until one can be consumed.
    pub fn consume(self, full_at: &mut Instant, now: Instant) -> Result<(), Duration> {
        let limit = now + self.interval.saturating_mul(self.burst);
        let next = (*full_at).max(now) + self.interval;
        if next > limit {
            return Err(next - limit);
        }
        *full_at = next;
        Ok(())
    }
}
