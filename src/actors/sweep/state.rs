//! The state of the sweep: where it is in the list of what is due, and what it leaves alone for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::ids::OrderId;
use crate::storage::{DueDeadline, DuePosition};

/// A deadline that came to nothing is tried again after this: its row is of a newer version, or the store refuses it. Others
/// behind it are not held up.
const PASS_FOR: Duration = Duration::from_secs(30);

/// Most deadlines passed over; beyond it they are tried by every sweep.
const MAX_PASSED: usize = 4096;

/// What the actor does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SweepAction {
    /// Read the page behind this position.
    Read(Option<DuePosition>),
    /// Submit these, and say when all are answered.
    Fire(Vec<DueDeadline>),
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
    Firing(Option<DuePosition>),
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
    pub(super) fn on_page(&mut self, page: Option<Vec<DueDeadline>>) -> SweepAction {
        let Some(page) = page else { return self.end() };
        let is_full = page.len() >= self.page;
        let next = page.last().filter(|_| is_full).map(DueDeadline::position);
        self.run = Run::Firing(next);
        let is_passed = |due: &DueDeadline| {
            self.passed.get(&due.order).is_some_and(|passed| passed.attempt == due.attempt)
        };
        SweepAction::Fire(page.into_iter().filter(|due| !is_passed(due)).collect())
    }

    /// One deadline of the page was answered.
    pub(super) fn on_swept(&mut self, order: OrderId, attempt: i64, swept: Swept, now: Instant) {
        if swept == Swept::InVain && self.passed.len() < MAX_PASSED {
            self.passed.insert(order, Passed { attempt, until: now + PASS_FOR });
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
