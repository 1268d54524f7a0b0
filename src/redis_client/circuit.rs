//! When a connection is given up, and when the next one is tried: pure.

use std::time::Duration;

/// Commands in a row without an answer after which the connection is given up.
const FAILURES: u32 = 3;

/// The first pause after a failed attempt to connect, and the longest; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Counts what a connection leaves unanswered.
#[derive(Debug, Default)]
pub(super) struct Unanswered(u32);

impl Unanswered {
    /// A command was answered.
    pub(super) fn answered(&mut self) {
        self.0 = 0;
    }

    /// A command was not answered in time; whether the connection is to be given up.
    pub(super) fn failed(&mut self) -> bool {
        self.0 += 1;
        self.0 >= FAILURES
    }
}

/// Pauses between attempts to connect: doubled each time, with a random share, so that nodes do not come all at once.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Backoff {
    /// The next pause: between half of the present length and the whole, by a random number.
    pub fn next(&mut self, random: u32) -> Duration {
        let whole = self.0;
        self.0 = whole.saturating_mul(2).min(LAST_PAUSE);
        whole / 2 + whole.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_given_up_after_failures_in_a_row_only() {
        let mut unanswered = Unanswered::default();
        for _ in 0..5 {
            assert!(!unanswered.failed() && !unanswered.failed());
            unanswered.answered();
        }
        assert_eq!([(); 3].map(|()| unanswered.failed()), [false, false, true]);
    }

    #[test]
    fn pauses_double_up_to_two_seconds_and_never_are_shorter_than_half() {
        let (mut least, mut most) = (Backoff::default(), Backoff::default());
        for ms in [100, 200, 400, 800, 1600, 2000, 2000] {
            let whole = Duration::from_millis(ms);
            assert_eq!((least.next(0), most.next(u32::MAX)), (whole / 2, whole));
        }
    }
}
