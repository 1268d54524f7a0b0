//! The task of a writer lane: runs batches one after the other, so that a caller that stops waiting cannot cancel a
//! transaction.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::storage::commands::{Command, Committed, Outcome};
use crate::storage::{Attempt, Lane, StoreError};
use crate::telemetry::Metrics;

use super::commit_listener::CommitListener;
use super::errors::SubmitError;
use super::messages::{BatchEnd, Job};

/// First pause before asking again about a COMMIT whose answer was lost; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Once a part of a batch has failed, nothing of the batch is begun after this: most of what callers wait.
const SLOW_BATCH: Duration = Duration::from_secs(4);

/// Runs every batch that comes until the sender is dropped, and calls `idle` at the end of each.
pub(super) async fn run(
    mut lane: Box<dyn Lane>,
    mut batches: mpsc::Receiver<Vec<Job>>,
    listener: std::sync::Arc<dyn CommitListener>,
    metrics: Metrics,
    idle: impl Fn(BatchEnd),
) {
    while let Some(batch) = batches.recv().await {
        metrics.persistence_batch_size.observe(batch.len() as f64);
        idle(run_batch(lane.as_mut(), batch, listener.as_ref(), &metrics).await);
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
    listener: &dyn CommitListener,
    metrics: &Metrics,
) -> BatchEnd {
    let began = Instant::now();
    let mut parts = vec![Part { jobs: batch, attempt: Attempt::First, slow: false }];
    let mut ended = BatchEnd::Committed;
    while let Some(part) = parts.pop() {
        // Their callers are about to stop waiting, and what is left is likely to be slow as well.
        if part.attempt == Attempt::First && ended == BatchEnd::Failed && began.elapsed() > SLOW_BATCH {
            tracing::warn!(commands = part.jobs.len(), "the rest of a batch was given up: it took too long");
            answer_all(part.jobs, SubmitError::Unavailable);
        } else if let Err((part, error)) = run_part(lane, part, listener, metrics).await {
            ended = BatchEnd::Failed;
            parts.extend(after_failure(part, error, metrics));
        }
    }
    ended
}

/// Commits a part and answers its callers, or gives it back with the error.
async fn run_part(
    lane: &mut dyn Lane,
    Part { jobs, mut attempt, slow }: Part,
    listener: &dyn CommitListener,
    metrics: &Metrics,
) -> Result<(), (Part, StoreError)> {
    let (commands, waiters): (Vec<Command>, Vec<_>) = jobs.into_iter().map(|j| (j.command, j.waiter)).unzip();
    match run_to_an_end(lane, &commands, &mut attempt, listener, metrics).await {
        Ok(mut committed) => {
            listener.committed(&commands, &mut committed);
            for (waiter, outcome) in waiters.into_iter().zip(committed.outcomes) {
                waiter.answer(Ok(outcome));
            }
            Ok(())
        }
        Err(error) => {
            let jobs = commands.into_iter().zip(waiters).map(|(command, waiter)| Job { command, waiter });
            Err((Part { jobs: jobs.collect(), attempt, slow }, error))
        }
    }
}

/// The parts that are still to be run after a failure, the last one first; callers of all other commands are answered.
fn after_failure(part: Part, error: StoreError, metrics: &Metrics) -> Vec<Part> {
    let Part { mut jobs, attempt, slow } = part;
    let of = |jobs| Part { jobs, attempt, slow: false };
    match error {
        StoreError::NotHappened(_) | StoreError::Corrupt(_) if jobs.len() > 1 => {
            let second = jobs.split_off(jobs.len() / 2);
            return vec![of(second), of(jobs)];
        }
        StoreError::TooSlow(cause) if jobs.len() > 1 => {
            tracing::warn!(cause, commands = jobs.len(), "a batch took too long and is divided");
            let (first, second) = divided(jobs);
            return vec![of(second), of(first)];
        }
        // It may have been the others' doing, or a moment's.
        StoreError::TooSlow(_) if !slow => return vec![Part { jobs, attempt, slow: true }],
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
            answer_all(jobs, SubmitError::Unavailable);
        }
    }
    Vec::new()
}

fn answer_all(jobs: Vec<Job>, error: SubmitError) {
    jobs.into_iter().for_each(|job| job.waiter.answer(Err(error)));
}

/// Commands whose callers wait, and commands that can wait, which may also be the large ones; two halves when all are of one
/// kind.
fn divided(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let (later, mut soon): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| job.command.write.can_wait());
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
    listener: &dyn CommitListener,
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
                    listener.commit_unknown(commands);
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
