//! The state of background jobs: which one this node tries next.

use std::time::{Duration, Instant};

use crate::domain::time::Timestamp;

use super::job::{JobName, JobOutcome, Urgency};

/// The next step of the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextJob {
    /// Run this one; no other until it has ended.
    Run(JobName),
    /// Nothing is due before.
    WaitUntil(Instant),
    /// One is running.
    Busy,
}

/// A number from 0 to 1 that its caller drew at random: nodes and jobs that start together drift apart by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jitter(f64);

impl Jitter {
    /// Of bits drawn at random.
    pub(super) fn of(bits: u32) -> Self {
        Self(f64::from(bits) / f64::from(u32::MAX))
    }

    /// Up to a tenth of `period`.
    fn jitter(self, period: Duration) -> Duration {
        period.mul_f64(self.0 / 10.0)
    }
}

#[derive(Debug)]
struct Entry {
    name: JobName,
    due: Instant,
}

#[derive(Debug)]
struct Running {
    name: JobName,
    since: Instant,
}

/// Every job with its due time by the monotonic clock, so that a wall clock that jumps makes none early or late. At most one
/// runs at a time: clean-up takes no more than one place in the writers' queues, and a job never overlaps itself.
#[derive(Debug)]
pub(super) struct JobsState {
    entries: Vec<Entry>,
    running: Option<Running>,
}

impl JobsState {
    /// Every job, due for the first time within a tenth of its period: a node that restarts often still cleans up.
    pub(super) fn new(now: Instant, mut chance: impl FnMut() -> Jitter) -> Self {
        let entries = JobName::ALL.into_iter().map(|name| {
            let due = now + chance().jitter(name.period());
            Entry { name, due }
        });
        Self { entries: entries.collect(), running: None }
    }

    /// The urgent ones that are due come first, then the one that has been due for longest.
    pub(super) fn next(&mut self, now: Instant) -> NextJob {
        if self.running.is_some() {
            return NextJob::Busy;
        }
        let due = self.entries.iter().filter(|entry| entry.due <= now);
        if let Some(entry) = due.min_by_key(|entry| (entry.name.urgency() == Urgency::Background, entry.due))
        {
            self.running = Some(Running { name: entry.name, since: now });
            return NextJob::Run(entry.name);
        }
        let soonest = self.entries.iter().map(|entry| entry.due).min();
        NextJob::WaitUntil(soonest.expect("there are jobs"))
    }

    /// The running job has ended. Its period counts from here, so that a slow job is not due again at once; of one that another node
    /// runs or has run, the node that comes first after its time is as good as any.
    pub(super) fn ended(&mut self, outcome: &JobOutcome, now: Instant, chance: Jitter) -> Duration {
        let Some(Running { name, since }) = self.running.take() else { return Duration::ZERO };
        let took = now.saturating_duration_since(since);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            let pause = outcome.pause(name);
            entry.due = now + pause + chance.jitter(pause);
        }
        took
    }

    /// When this node tries each job, by the wall clock.
    pub(super) fn due(&self, now: Instant, wall: Timestamp) -> Vec<(JobName, Timestamp)> {
        let due = |entry: &Entry| (entry.name, wall.plus(entry.due.saturating_duration_since(now)));
        self.entries.iter().map(due).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Timestamp = Timestamp::from_unix_seconds(1_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn schedule() -> (JobsState, Instant) {
        let start = Instant::now();
        (JobsState::new(start, || Jitter::of(u32::MAX / 2)), start)
    }

    fn run(schedule: &mut JobsState, now: Instant) -> JobName {
        match schedule.next(now) {
            NextJob::Run(name) => name,
            other => panic!("expected a job, got {other:?}"),
        }
    }

    fn due(schedule: &JobsState, name: JobName, now: Instant, wall: Timestamp) -> Timestamp {
        schedule.due(now, wall).into_iter().find(|(job, _)| *job == name).unwrap().1
    }

    #[test]
    fn one_runs_at_a_time_and_urgent_ones_before_all_others() {
        let (mut schedule, start) = schedule();
        let now = start + 2 * DAY;
        let mut order = Vec::new();
        for _ in JobName::ALL {
            order.push(run(&mut schedule, now));
            assert_eq!(schedule.next(now), NextJob::Busy);
            schedule.ended(&JobOutcome::Done(0), now, Jitter::of(0));
        }
        let first_background = order.iter().position(|name| name.urgency() == Urgency::Background).unwrap();
        assert!(
            order[first_background..].iter().all(|name| name.urgency() == Urgency::Background),
            "{order:?}"
        );
        assert!(matches!(schedule.next(now), NextJob::WaitUntil(at) if at > now));
        order.sort();
        assert_eq!(order, JobName::ALL, "each had its turn");
    }

    #[test]
    fn nothing_is_due_before_its_time_and_everything_within_a_period_and_a_tenth() {
        let (mut schedule, start) = schedule();
        let NextJob::WaitUntil(first) = schedule.next(start) else { panic!("nothing is due yet") };
        assert!(first > start);
        let now = start + 2 * DAY;
        let name = run(&mut schedule, now);
        schedule.ended(&JobOutcome::Done(3), now, Jitter::of(u32::MAX));
        let until = due(&schedule, name, now, WALL);
        assert!(until >= WALL.plus(name.period()) && until <= WALL.plus(name.period().mul_f64(1.11)));
    }

    #[test]
    fn a_wall_clock_that_jumps_makes_no_job_early_or_late() {
        let (mut schedule, start) = schedule();
        let now = start + 2 * DAY;
        let name = run(&mut schedule, now);
        schedule.ended(&JobOutcome::Done(0), now, Jitter::of(0));
        let ahead = WALL.plus(Duration::from_secs(9 * 3600));
        assert_eq!(
            due(&schedule, name, now, ahead),
            ahead.plus(name.period()),
            "told by the clock as it is now"
        );
    }

    #[test]
    fn a_failed_job_comes_back_soon_and_one_of_another_node_when_that_may_be_done() {
        let (mut schedule, start) = schedule();
        let now = start + DAY;
        let name = run(&mut schedule, now);
        let end = now + Duration::from_secs(5);
        let failed = JobOutcome::Failed("away".to_owned());
        assert_eq!(schedule.ended(&failed, end, Jitter::of(0)), Duration::from_secs(5));
        let minute = Duration::from_secs(60);
        assert_eq!(due(&schedule, name, end, WALL), WALL.plus(name.period().min(minute)));
        let other = run(&mut schedule, end);
        schedule.ended(&JobOutcome::Elsewhere(7 * minute), end, Jitter::of(0));
        assert_eq!(due(&schedule, other, end, WALL), WALL.plus(other.period().min(7 * minute)));
    }
}
