//! The state of the sweep: where it is in the list of what is due, and what it leaves alone for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::ids::OrderId;
use crate::storage::DuePlace;
use crate::storage::commands::{FireDeadline, SagaDue};

/// A deadline that came to nothing is tried again after this: its row is of a newer version, or the store refuses it. Others
/// behind it are not held up.
const PASS_FOR: Duration = Duration::from_secs(30);

/// Most deadlines passed over; beyond it they are tried by every sweep.
const MAX_PASSED: usize = 4096;

/// What the actor does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SweepAction {
    /// Read the page behind this position.
    Read(Option<DuePlace>),
    /// Submit these, and say when all are answered.
    Fire(Vec<FireDeadline>),
    /// Wait for the next tick.
    Wait,
}

/// What became of a deadline that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// It was fired, or had been.
    Done,
    /// The store was too busy or away; the next sweep finds it again.
    Later,
    /// It would come to nothing again.
    InVain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Idle,
    Reading,
    /// The position behind the page that is being fired; `None` when it was the last page.
    Firing(Option<DuePlace>),
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    attempt: i64,
    until: Instant,
}

/// One pass through what is due at a time, page by page.
#[derive(Debug)]
pub(super) struct SweepState {
    page: usize,
    run: Run,
    /// A sweep was asked for while one was under way.
    again: bool,
    passed: HashMap<OrderId, Passed>,
}

impl SweepState {
    /// Nothing is being swept; pages hold so many deadlines.
    pub(super) fn new(page: usize) -> Self {
        Self { page, run: Run::Idle, again: false, passed: HashMap::new() }
    }

    /// Whether no sweep is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.run == Run::Idle
    }

    /// Time for a sweep, unless one is under way.
    pub(super) fn on_tick(&mut self, now: Instant) -> SweepAction {
        if self.run != Run::Idle {
            return SweepAction::Wait;
        }
        self.passed.retain(|_, passed| passed.until > now);
        self.run = Run::Reading;
        SweepAction::Read(None)
    }

    /// Somebody asks for a sweep that begins now or later.
    pub(super) fn on_asked(&mut self, now: Instant) -> SweepAction {
        self.again = self.run != Run::Idle;
        self.on_tick(now)
    }

    /// The page was read; `None` when the store did not answer.
    pub(super) fn on_page(&mut self, page: Option<Vec<SagaDue>>) -> SweepAction {
        let Some(page) = page else { return self.end() };
        let is_full = page.len() >= self.page;
        let next = page.last().filter(|_| is_full).and_then(place);
        self.run = Run::Firing(next);
        let is_passed = |deadline: &FireDeadline| {
            self.passed.get(&deadline.order).is_some_and(|passed| passed.attempt == deadline.attempt)
        };
        SweepAction::Fire(page.iter().map(deadline).filter(|due| !is_passed(due)).collect())
    }

    /// One deadline of the page was answered.
    pub(super) fn on_swept(&mut self, deadline: FireDeadline, swept: Swept, now: Instant) {
        if swept == Swept::InVain && self.passed.len() < MAX_PASSED {
            self.passed.insert(deadline.order, Passed { attempt: deadline.attempt, until: now + PASS_FOR });
        }
    }

    /// All of the page are answered.
    pub(super) fn on_page_done(&mut self) -> SweepAction {
        match self.run {
            Run::Firing(Some(next)) => {
                self.run = Run::Reading;
                SweepAction::Read(Some(next))
            }
            Run::Idle | Run::Reading | Run::Firing(None) => self.end(),
        }
    }

    fn end(&mut self) -> SweepAction {
        if std::mem::take(&mut self.again) {
            self.run = Run::Reading;
            return SweepAction::Read(None);
        }
        self.run = Run::Idle;
        SweepAction::Wait
    }
}

fn place(due: &SagaDue) -> Option<DuePlace> {
    due.due_at.map(|due_at| DuePlace { due_at, order: due.order })
}

fn deadline(due: &SagaDue) -> FireDeadline {
    FireDeadline { order: due.order, business: due.business, attempt: due.attempt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::BusinessId;
    use crate::domain::time::Timestamp;

    fn due(attempt: i64) -> SagaDue {
        let due_at = Some(Timestamp::from_unix_seconds(attempt));
        SagaDue { order: OrderId::generate(), business: BusinessId::generate(), attempt, due_at }
    }

    fn fired(action: SweepAction) -> Vec<FireDeadline> {
        match action {
            SweepAction::Fire(deadlines) => deadlines,
            other => panic!("expected deadlines to fire: {other:?}"),
        }
    }

    #[test]
    fn a_sweep_goes_page_by_page_to_the_end_of_what_is_due() {
        let now = Instant::now();
        let mut sweep = SweepState::new(2);
        let pages = [vec![due(1), due(2)], vec![due(3)]];
        assert_eq!(sweep.on_tick(now), SweepAction::Read(None));
        assert_eq!(sweep.on_tick(now), SweepAction::Wait, "one at a time");
        assert_eq!(fired(sweep.on_page(Some(pages[0].clone()))).len(), 2);
        assert_eq!(sweep.on_page_done(), SweepAction::Read(Some(place(&pages[0][1]).unwrap())));
        assert_eq!(fired(sweep.on_page(Some(pages[1].clone()))), [deadline(&pages[1][0])]);
        assert_eq!(sweep.on_page_done(), SweepAction::Wait);
        assert_eq!(sweep.on_tick(now), SweepAction::Read(None), "the next one begins at the oldest");
    }

    #[test]
    fn what_comes_to_nothing_is_passed_over_for_a_while_and_holds_nobody_up() {
        let now = Instant::now();
        let mut sweep = SweepState::new(2);
        let (bad, good) = (due(1), due(2));
        sweep.on_tick(now);
        sweep.on_page(Some(vec![bad, good]));
        sweep.on_swept(deadline(&bad), Swept::InVain, now);
        sweep.on_swept(deadline(&good), Swept::Later, now);
        sweep.on_page_done();
        assert_eq!(fired(sweep.on_page(Some(vec![bad]))), [], "passed over");
        sweep.on_page_done();
        sweep.on_tick(now + Duration::from_secs(1));
        assert_eq!(fired(sweep.on_page(Some(vec![bad, good]))), [deadline(&good)]);
        sweep.on_page_done();
        sweep.on_page(Some(Vec::new()));
        sweep.on_page_done();
        let written = SagaDue { attempt: 5, ..bad };
        sweep.on_tick(now + Duration::from_secs(2));
        assert_eq!(fired(sweep.on_page(Some(vec![written]))), [deadline(&written)], "it was written since");
        sweep.on_page_done();
        sweep.on_tick(now + PASS_FOR);
        assert_eq!(fired(sweep.on_page(Some(vec![bad]))), [deadline(&bad)], "its time is over");
    }

    #[test]
    fn a_store_that_does_not_answer_is_asked_again_at_the_next_tick() {
        let now = Instant::now();
        let mut sweep = SweepState::new(2);
        sweep.on_tick(now);
        assert_eq!(sweep.on_page(None), SweepAction::Wait);
        assert_eq!(sweep.on_tick(now), SweepAction::Read(None));
    }

    #[test]
    fn a_sweep_that_is_asked_for_during_another_follows_it_at_once() {
        let now = Instant::now();
        let mut sweep = SweepState::new(2);
        assert_eq!(sweep.on_asked(now), SweepAction::Read(None));
        assert_eq!(sweep.on_asked(now), SweepAction::Wait);
        sweep.on_page(Some(vec![due(1)]));
        assert_eq!(sweep.on_page_done(), SweepAction::Read(None));
        sweep.on_page(Some(Vec::new()));
        assert_eq!(sweep.on_page_done(), SweepAction::Wait);
    }
}
