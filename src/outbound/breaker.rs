//! A breaker before something that may be away: after failures in a row it refuses for a while, then lets one call through to see.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Failures in a row after which calls are refused.
const FAILURES: u32 = 5;

/// Calls are refused for this long before one is let through; doubles with each that fails, up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// A call that was let through to see and never ended is forgotten after this.
const PROBE_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls go through; so many in a row have failed.
    Closed(u32),
    /// None goes through until `pause` has passed.
    Open { since: Timestamp, pause: Duration },
    /// One is through since `since`.
    Probing { since: Timestamp, pause: Duration },
}

/// The state of a breaker; it is told the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaker(State);

impl Breaker {
    /// Closed.
    pub(super) const fn new() -> Self {
        Self(State::Closed(0))
    }

    /// Whether a call would be let through.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        match self.0 {
            State::Closed(_) => true,
            State::Open { since, pause } => has_passed(since, pause, now),
            State::Probing { since, .. } => has_passed(since, PROBE_WITHIN, now),
        }
    }

    /// Lets a call through, or not; after one that is let through to see, none until it has ended.
    pub(super) fn admit(&mut self, now: Timestamp) -> bool {
        let admits = self.admits(now);
        if admits && let State::Open { pause, .. } | State::Probing { pause, .. } = self.0 {
            self.0 = State::Probing { since: now, pause };
        }
        admits
    }

    /// A call was answered, whatever the answer.
    pub(super) fn answered(&mut self) {
        self.0 = State::Closed(0);
    }

    /// A call was not answered.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.0 = match self.0 {
            State::Closed(failures) if failures + 1 < FAILURES => State::Closed(failures + 1),
            State::Closed(_) => State::Open { since: now, pause: FIRST_PAUSE },
            // One that began before it opened says nothing new.
            open @ State::Open { .. } => open,
            State::Probing { pause, .. } => {
                State::Open { since: now, pause: pause.saturating_mul(2).min(LAST_PAUSE) }
            }
        };
    }

    /// Whether calls go through as usual.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.0, State::Closed(_))
    }
}

/// Whether a pause is over; it is when the clock was set back before its begin.
fn has_passed(since: Timestamp, pause: Duration, now: Timestamp) -> bool {
    now < since || now >= since.plus(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
    const S: fn(u64) -> Duration = Duration::from_secs;

    fn opened(at: Timestamp) -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES {
            assert!(breaker.admit(at));
            breaker.failed(at);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_an_answer_among_them_counts_anew() {
        let at = NOW;
        let mut breaker = Breaker::new();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                breaker.failed(at);
            }
            breaker.answered();
        }
        assert!(breaker.is_closed() && breaker.admit(at));
        assert!(!opened(at).admit(at));
    }

    #[test]
    fn after_its_pause_one_call_goes_through_and_its_answer_closes_it() {
        let at = NOW;
        let mut breaker = opened(at);
        assert!(!breaker.admit(at.plus(S(4))));
        assert!(breaker.admits(at.plus(S(5))) && breaker.admit(at.plus(S(5))), "one goes through");
        assert!(!breaker.admits(at.plus(S(5))) && !breaker.admit(at.plus(S(6))), "and no other meanwhile");
        breaker.answered();
        assert!(breaker.is_closed() && breaker.admit(at.plus(S(6))));
    }

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_minute() {
        let mut at = NOW;
        let mut breaker = opened(at);
        for pause in [5, 10, 20, 40, 60, 60] {
            assert!(!breaker.admits(at.plus(S(pause) - Duration::from_millis(1))), "{pause}");
            at = at.plus(S(pause));
            assert!(breaker.admit(at), "{pause}");
            breaker.failed(at);
        }
    }

    #[test]
    fn a_call_that_was_dropped_on_the_way_does_not_keep_it_open() {
        let at = NOW;
        let mut breaker = opened(at);
        assert!(breaker.admit(at.plus(S(5))));
        assert!(!breaker.admit(at.plus(S(34))));
        assert!(breaker.admit(at.plus(S(35))));
    }
}
