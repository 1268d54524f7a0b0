//! Log lines at a bounded rate for refusals that may come at any rate.
//!
//! A line for each would cost as much as the refusal, at the very time when there is nothing to spare.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts refusals and says when one log line is due for all of them.
#[derive(Debug)]
pub(in crate::http) struct LogThrottle {
    every: Duration,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    since_line: u64,
    line_at: Option<Instant>,
}

impl LogThrottle {
    /// A throttle that admits one line in `every`.
    pub(in crate::http) fn every(every: Duration) -> Self {
        Self { every, tally: Mutex::default() }
    }

    /// Counts one refusal. When a line is due: the number since the line before, and the time since then.
    pub(in crate::http) fn count(&self, now: Instant) -> Option<(u64, Duration)> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.since_line += 1;
        let since = tally.line_at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < self.every) {
            return None;
        }
        tally.line_at = Some(now);
        Some((std::mem::take(&mut tally.since_line), since.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together_once_a_second() {
        let (throttle, start) = (LogThrottle::every(Duration::from_secs(1)), Instant::now());
        let ms = Duration::from_millis;
        let told = [0, 1, 500, 999, 1000, 1001, 5000].map(|at| throttle.count(start + ms(at)));
        let lines = [Some((1, ms(0))), None, None, None, Some((4, ms(1000))), None, Some((2, ms(4000)))];
        assert_eq!(told, lines);
    }
}
