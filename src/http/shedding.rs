//! What the log says of requests that are refused before anything was done for them: one line a second with their number.
//! A line for each would cost as much as the refusal, at the very time when there is none to spare.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(1);

/// Marks the answer to a request that was shed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shed;

/// Counts what is shed.
#[derive(Debug, Default)]
pub(super) struct Shedding(Mutex<Tally>);

#[derive(Debug, Default)]
struct Tally {
    since_told: u64,
    told_at: Option<Instant>,
}

impl Shedding {
    /// Counts one more, and gives the number since the last line when it is time for the next.
    pub(super) fn count(&self, now: Instant) -> Option<u64> {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.since_told += 1;
        if tally.told_at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return None;
        }
        tally.told_at = Some(now);
        Some(std::mem::take(&mut tally.since_told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together_once_a_second() {
        let (shedding, start) = (Shedding::default(), Instant::now());
        let told =
            [0, 1, 500, 999, 1000, 1001, 5000].map(|ms| shedding.count(start + Duration::from_millis(ms)));
        assert_eq!(told, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }
}
