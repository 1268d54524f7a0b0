//! A writer lane: runs batches one after the other in a task of its own, so that nobody who stops waiting can
//! cancel a transaction.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::storage::command::{Command, Committed, Outcome};
use crate::storage::{Attempt, Lane, StoreError};
use crate::telemetry::Metrics;

use super::messages::{BatchEnd, Job};
use super::{CommitObserver, SubmitError};

/// First pause before asking again about a COMMIT whose answer was lost; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

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

/// Answers every job. A batch that the store refuses is halved until the command at fault stands alone, so that
/// the others are committed.
async fn run_batch(
    lane: &mut dyn Lane,
    batch: Vec<Job>,
    observer: &dyn CommitObserver,
    metrics: &Metrics,
) -> BatchEnd {
    let mut parts = vec![(batch, Attempt::First)];
    let mut ended = BatchEnd::Committed;
    while let Some((mut jobs, mut attempt)) = parts.pop() {
        let (commands, waiters): (Vec<Command>, Vec<_>) =
            jobs.drain(..).map(|j| (j.command, j.waiter)).unzip();
        match run_to_an_end(lane, &commands, &mut attempt, observer, metrics).await {
            Ok(committed) => {
                let Committed { outcomes, events } = committed;
                observer.committed(&commands, &outcomes, events);
                for (waiter, outcome) in waiters.into_iter().zip(outcomes) {
                    waiter.answer(Ok(outcome));
                }
            }
            Err(StoreError::NotHappened(cause) | StoreError::Corrupt(cause)) => {
                ended = BatchEnd::Failed;
                let mut jobs: Vec<Job> = commands
                    .into_iter()
                    .zip(waiters)
                    .map(|(command, waiter)| Job { command, waiter })
                    .collect();
                if jobs.len() > 1 {
                    let second = jobs.split_off(jobs.len() / 2);
                    parts.push((second, attempt));
                    parts.push((jobs, attempt));
                } else if let Some(job) = jobs.pop() {
                    tracing::error!(command = %job.command.id, cause, "the store refused a command");
                    // After a COMMIT without an answer a refusal may also mean that it stands there already.
                    job.waiter.answer(Err(match attempt {
                        Attempt::First => SubmitError::Refused,
                        Attempt::AfterUnknown => SubmitError::OutcomeUnknown,
                    }));
                }
            }
            Err(error) => {
                ended = BatchEnd::Failed;
                tracing::warn!(%error, commands = commands.len(), "a batch was not written");
                for waiter in waiters {
                    waiter.answer(Err(SubmitError::Unavailable));
                }
            }
        }
    }
    ended
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
            Err(StoreError::Unavailable(cause)) if *attempt == Attempt::AfterUnknown => {
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
