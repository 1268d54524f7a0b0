//! The state of an order's saga on this node: when its next deadline is, and whether it is being fired.

use std::time::{Duration, Instant};

use super::messages::Schedule;

/// What becomes of a deadline that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fired {
    /// Its commit, or the one that came before it, has left this deadline.
    Left(Schedule),
    /// It is unknown or could not be written: it stays due, and the sweep finds it.
    Unknown,
}

/// What the actor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SagaAction {
    /// Wait for this moment, and for none before it.
    WaitUntil(Instant),
    /// Submit the deadline of this attempt.
    Fire(i64),
    /// Go on as before.
    Continue,
    /// Nothing of the order is near on this node.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting(Instant),
    Firing,
}

/// The next deadline of one order. The row of the store decides what is done at it; this one knows only when to ask.
#[derive(Debug)]
pub(super) struct OrderSagaState {
    /// The newest write of the row that is known.
    attempt: i64,
    step: Step,
    horizon: Duration,
}

impl OrderSagaState {
    /// A saga that waits for this moment.
    pub(super) fn new(attempt: i64, due: Instant, horizon: Duration) -> Self {
        Self { attempt, step: Step::Waiting(due), horizon }
    }

    /// A commit has left this deadline. News that are older than what is known change nothing.
    pub(super) fn on_schedule(&mut self, schedule: Schedule, now: Instant) -> SagaAction {
        if schedule.attempt < self.attempt {
            return SagaAction::Continue;
        }
        self.attempt = schedule.attempt;
        match schedule.due {
            Some(due) if due <= now + self.horizon => {
                self.step = Step::Waiting(due);
                SagaAction::WaitUntil(due)
            }
            Some(_) | None => SagaAction::Stop,
        }
    }

    /// The moment waited for may have come.
    pub(super) fn on_timer(&mut self, now: Instant) -> SagaAction {
        match self.step {
            Step::Waiting(due) if due <= now => {
                self.step = Step::Firing;
                SagaAction::Fire(self.attempt)
            }
            Step::Waiting(due) => SagaAction::WaitUntil(due),
            Step::Firing => SagaAction::Continue,
        }
    }

    /// The deadline of this attempt was submitted and answered.
    pub(super) fn on_fired(&mut self, attempt: i64, fired: Fired, now: Instant) -> SagaAction {
        // A commit that came meanwhile has said more.
        if attempt != self.attempt || self.step != Step::Firing {
            return SagaAction::Continue;
        }
        match fired {
            // The same attempt, not due yet: the store's clock is behind the one waited by.
            Fired::Left(schedule) => self.on_schedule(schedule, now),
            Fired::Unknown => SagaAction::Stop,
        }
    }

    /// The store's clock was moved ahead by so much.
    pub(super) fn on_clock_moved(&mut self, by: Duration, now: Instant) -> SagaAction {
        match self.step {
            Step::Waiting(due) => {
                let due = due.checked_sub(by).unwrap_or(now);
                self.step = Step::Waiting(due);
                SagaAction::WaitUntil(due)
            }
            Step::Firing => SagaAction::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON: Duration = Duration::from_secs(60);

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn due(attempt: i64, at: Instant) -> Schedule {
        Schedule { attempt, due: Some(at) }
    }

    #[test]
    fn a_deadline_is_fired_when_it_is_due_and_not_before() {
        let start = Instant::now();
        let mut saga = OrderSagaState::new(3, start + s(15), HORIZON);
        assert_eq!(saga.on_timer(start + s(14)), SagaAction::WaitUntil(start + s(15)));
        assert_eq!(saga.on_timer(start + s(15)), SagaAction::Fire(3));
        assert_eq!(saga.on_timer(start + s(16)), SagaAction::Continue, "it is submitted once");
    }

    #[test]
    fn the_deadline_that_a_commit_leaves_replaces_the_one_waited_for() {
        let start = Instant::now();
        let mut saga = OrderSagaState::new(3, start + s(15), HORIZON);
        assert_eq!(saga.on_schedule(due(4, start + s(30)), start), SagaAction::WaitUntil(start + s(30)));
        assert_eq!(saga.on_timer(start + s(15)), SagaAction::WaitUntil(start + s(30)));
        assert_eq!(saga.on_schedule(due(3, start + s(20)), start), SagaAction::Continue, "older news");
        assert_eq!(saga.on_timer(start + s(30)), SagaAction::Fire(4));
    }

    #[test]
    fn a_saga_without_a_near_deadline_stops() {
        let start = Instant::now();
        let mut saga = OrderSagaState::new(3, start + s(15), HORIZON);
        assert_eq!(saga.on_schedule(due(4, start + s(61)), start), SagaAction::Stop);
        assert_eq!(saga.on_schedule(Schedule { attempt: 5, due: None }, start), SagaAction::Stop);
    }

    #[test]
    fn what_could_not_be_written_is_left_to_the_sweep() {
        let start = Instant::now();
        let mut saga = OrderSagaState::new(3, start, HORIZON);
        assert_eq!(saga.on_timer(start), SagaAction::Fire(3));
        assert_eq!(saga.on_fired(3, Fired::Unknown, start), SagaAction::Stop);
    }

    #[test]
    fn an_answer_that_a_later_commit_overtook_changes_nothing() {
        let start = Instant::now();
        let mut saga = OrderSagaState::new(3, start, HORIZON);
        assert_eq!(saga.on_timer(start), SagaAction::Fire(3));
        assert_eq!(saga.on_schedule(due(5, start + s(9)), start), SagaAction::WaitUntil(start + s(9)));
        assert_eq!(saga.on_fired(3, Fired::Left(due(4, start + s(1))), start), SagaAction::Continue);
        assert_eq!(saga.on_fired(3, Fired::Unknown, start), SagaAction::Continue);
        assert_eq!(saga.on_timer(start + s(9)), SagaAction::Fire(5));
    }

    #[test]
    fn a_clock_that_is_moved_ahead_brings_the_deadline_nearer() {
        let start = Instant::now() + s(3600);
        let mut saga = OrderSagaState::new(3, start + s(40), HORIZON);
        assert_eq!(saga.on_clock_moved(s(30), start), SagaAction::WaitUntil(start + s(10)));
        assert_eq!(saga.on_timer(start + s(10)), SagaAction::Fire(3));
    }

    proptest! {
        #[test]
        fn no_attempt_is_submitted_twice_and_none_before_its_time(
            steps in prop::collection::vec((0u8..4, 0i64..6, 0u64..90), 0..40)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut saga = OrderSagaState::new(0, start + s(10), HORIZON);
            let (mut known, mut due_at) = (0, start + s(10));
            let mut fired = std::collections::BTreeSet::new();
            for (step, attempt, seconds) in steps {
                now += s(seconds / 8);
                match step {
                    // Attempts only grow by commits, so news of the one being fired carry a larger number.
                    0 => {
                        let next = known + attempt;
                        if fired.contains(&next) { continue; }
                        let at = now + s(seconds);
                        if saga.on_schedule(due(next, at), now) == SagaAction::Stop { return Ok(()); }
                        (known, due_at) = (next, at);
                    }
                    1 => { prop_assert_eq!(saga.on_schedule(due(known - 1, now), now), SagaAction::Continue); }
                    2 => if let SagaAction::Fire(attempt) = saga.on_timer(now) {
                        prop_assert_eq!(attempt, known);
                        prop_assert!(due_at <= now);
                        prop_assert!(fired.insert(attempt));
                    },
                    _ => {
                        let left = Fired::Left(due(known + 1, now + s(5)));
                        if saga.on_fired(known, left, now) != SagaAction::Continue {
                            prop_assert!(fired.contains(&known));
                            (known, due_at) = (known + 1, now + s(5));
                        }
                    }
                }
            }
        }
    }
}
