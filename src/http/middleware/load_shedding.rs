//! What the log says of requests that are refused before anything was done for them: a line in so long a time at most,
//! with the number of those since the line before.
//! A line for each would cost as much as the refusal, at the very time when there is none to spare.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Marks the answer to a request that was shed.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Shed;

/// Counts what may happen at any rate and is told at a bounded one.
#[derive(Debug)]
pub(in crate::http) struct LogThrottle {
    every: Duration,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    since_told: u64,
    told_at: Option<Instant>,
}

impl LogThrottle {
    /// A count that is told once in `every` at most.
    pub(in crate::http) fn every(every: Duration) -> Self {
        Self { every, tally: Mutex::default() }
    }

    /// Counts one more. When it is time for a line: how many since the one before, and how long ago that was.
    pub(in crate::http) fn count(&self, now: Instant) -> Option<(u64, Duration)> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.since_told += 1;
        let since = tally.told_at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < self.every) {
            return None;
        }
        tally.told_at = Some(now);
        Some((std::mem::take(&mut tally.since_told), since.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together_once_a_second() {
        let (shedding, start) = (LogThrottle::every(Duration::from_secs(1)), Instant::now());
        let ms = Duration::from_millis;
        let told = [0, 1, 500, 999, 1000, 1001, 5000].map(|at| shedding.count(start + ms(at)));
        let lines = [Some((1, ms(0))), None, None, None, Some((4, ms(1000))), None, Some((2, ms(4000)))];
        assert_eq!(told, lines);
    }
}
