//! A writer lane: runs batches one after the other in a task of its own, so that nobody who stops waiting can
//! cancel a transaction.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::storage::commands::{Command, Committed, Outcome};
use crate::storage::{Attempt, Lane, StoreError};
use crate::telemetry::Metrics;

use super::messages::{BatchEnd, Job};
use super::{CommitObserver, SubmitError};

/// First pause before asking again about a COMMIT whose answer was lost; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Once a part of a batch has failed, nothing of the batch is begun after this: most of what callers wait.
const SLOW_BATCH: Duration = Duration::from_secs(4);

/// Runs every batch that comes until the sender is dropped; `idle` hears of each when it has ended.
pub(super) async fn run(
    mut lane: Box<dyn Lane>,
    mut batches: mpsc::Receiver<Vec<Job>>,
    observer: std::sync::Arc<dyn CommitObserver>,
    metrics: Metrics,
    idle: impl Fn(BatchEnd),
) {
    while let Some(batch) = batches.recv().await {
        metrics.persistence_batch_size.observe(batch.len() as f64);
        idle(run_batch(lane.as_mut(), batch, observer.as_ref(), &metrics).await);
    }
}

/// A part of a batch that is still to be run.
struct Part {
    jobs: Vec<Job>,
    attempt: Attempt,
    /// It is one command, which has met a time limit alone before.
    slow: bool,
}

/// Answers every job. A batch that the store refuses, or that meets a time limit of the hub's own, is divided until the
/// command at fault stands alone, so that the others are committed.
async fn run_batch(
    lane: &mut dyn Lane,
    batch: Vec<Job>,
    observer: &dyn CommitObserver,
    metrics: &Metrics,
) -> BatchEnd {
    let began = Instant::now();
    let mut parts = vec![Part { jobs: batch, attempt: Attempt::First, slow: false }];
    let mut ended = BatchEnd::Committed;
    while let Some(Part { jobs, mut attempt, slow }) = parts.pop() {
        // Their callers are about to stop waiting, and what is left is likely to be slow as well.
        if attempt == Attempt::First && ended == BatchEnd::Failed && began.elapsed() > SLOW_BATCH {
            tracing::warn!(commands = jobs.len(), "the rest of a batch was given up: it took too long");
            jobs.into_iter().for_each(|job| job.waiter.answer(Err(SubmitError::Unavailable)));
            continue;
        }
        let (commands, waiters): (Vec<Command>, Vec<_>) =
            jobs.into_iter().map(|j| (j.command, j.waiter)).unzip();
        let error = match run_to_an_end(lane, &commands, &mut attempt, observer, metrics).await {
            Ok(committed) => {
                let Committed { outcomes, events } = committed;
                observer.committed(&commands, &outcomes, events);
                for (waiter, outcome) in waiters.into_iter().zip(outcomes) {
                    waiter.answer(Ok(outcome));
                }
                continue;
            }
            Err(error) => error,
        };
        ended = BatchEnd::Failed;
        let mut jobs: Vec<Job> =
            commands.into_iter().zip(waiters).map(|(command, waiter)| Job { command, waiter }).collect();
        match error {
            StoreError::NotHappened(_) | StoreError::Corrupt(_) if jobs.len() > 1 => {
                let second = jobs.split_off(jobs.len() / 2);
                parts.push(Part { jobs: second, attempt, slow: false });
                parts.push(Part { jobs, attempt, slow: false });
            }
            StoreError::TooSlow(cause) if jobs.len() > 1 => {
                tracing::warn!(cause, commands = jobs.len(), "a batch took too long and is divided");
                let (first, second) = divided(jobs);
                parts.push(Part { jobs: second, attempt, slow: false });
                parts.push(Part { jobs: first, attempt, slow: false });
            }
            // It may have been the others' doing, or a moment's.
            StoreError::TooSlow(_) if !slow => parts.push(Part { jobs, attempt, slow: true }),
            StoreError::TooSlow(cause) => {
                for job in jobs {
                    tracing::error!(command = %job.command.id, cause, "a command takes too long and was given up");
                    metrics.persistence_too_slow_total.inc();
                    job.waiter.answer(Err(SubmitError::TooSlow));
                }
            }
            StoreError::NotHappened(cause) | StoreError::Corrupt(cause) => {
                for job in jobs {
                    tracing::error!(command = %job.command.id, cause, "the store refused a command");
                    // After a COMMIT without an answer a refusal may also mean that it stands there already.
                    job.waiter.answer(Err(match attempt {
                        Attempt::First => SubmitError::Refused,
                        Attempt::AfterUnknown => SubmitError::OutcomeUnknown,
                    }));
                }
            }
            error @ (StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => {
                tracing::warn!(%error, commands = jobs.len(), "a batch was not written");
                jobs.into_iter().for_each(|job| job.waiter.answer(Err(SubmitError::Unavailable)));
            }
        }
    }
    ended
}

/// What has to be answered soon, and what can be done later, which is also what may be large; when they are all of one kind,
/// two halves.
fn divided(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let (later, mut soon): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| job.command.action.can_wait());
    if soon.is_empty() || later.is_empty() {
        soon.extend(later);
        let second = soon.split_off(soon.len() / 2);
        return (soon, second);
    }
    (soon, later)
}

/// Tries until it is known whether the commands happened. An unknown COMMIT is asked about until the store
/// answers: to go on without knowing could lose or double an order. `attempt` says afterwards whether one was.
async fn run_to_an_end(
    lane: &mut dyn Lane,
    commands: &[Command],
    attempt: &mut Attempt,
    observer: &dyn CommitObserver,
    metrics: &Metrics,
) -> Result<Committed, StoreError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match lane.run(commands, *attempt).await {
            Ok(committed) if committed.outcomes.len() != commands.len() => {
                return Err(StoreError::Corrupt(mismatch(commands, &committed.outcomes)));
            }
            Ok(committed) => {
                metrics.persistence_commit_seconds.observe(began.elapsed().as_secs_f64());
                return Ok(committed);
            }
            Err(StoreError::OutcomeUnknown(cause)) => {
                tracing::warn!(cause, "a commit had no answer; asking again");
                if *attempt == Attempt::First {
                    observer.uncertain(commands);
                }
                *attempt = Attempt::AfterUnknown;
            }
            Err(StoreError::Unavailable(cause) | StoreError::TooSlow(cause))
                if *attempt == Attempt::AfterUnknown =>
            {
                tracing::warn!(cause, "the store is away and a commit is still unknown");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn mismatch(commands: &[Command], outcomes: &[Outcome]) -> String {
    format!("{} commands got {} outcomes", commands.len(), outcomes.len())
}

#[cfg(test)]
mod tests;
