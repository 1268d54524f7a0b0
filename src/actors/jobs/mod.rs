//! Background jobs: clean-up, retention and maintenance of the database, one at a time, urgent ones first.

mod actor;
mod job;
mod messages;
mod runner;
mod settings;
mod state;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::Actor;
use tokio::sync::oneshot;

use crate::storage::Store;
use crate::telemetry::Metrics;

use super::mailbox::Mailbox;
use super::persistence::Persistence;
use actor::JobsActor;
use messages::{ListJobs, Stop};
use runner::JobRunner;

pub use job::{JobName, JobOutcome, JobReport, JobRun, JobState, Urgency};
pub use settings::RetentionSettings;

/// The actor of the jobs does not answer: it has stopped or is too busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job scheduler does not answer")]
pub struct NoAnswer;

/// Messages waiting for the actor before further ones are refused.
const MAILBOX: usize = 16;

/// The longest wait for the actor, which only keeps the list.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The handle to this node's jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    mailbox: Mailbox<JobsActor>,
}

impl Jobs {
    /// Starts the actor on the present arbiter; jobs do nothing there but wait for the writers.
    pub fn start(
        store: Arc<dyn Store>,
        persistence: Persistence,
        settings: RetentionSettings,
        metrics: Metrics,
    ) -> Self {
        let actor = JobsActor::new(JobRunner { store, persistence, settings }, metrics);
        let address = JobsActor::create(move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            actor
        });
        Self { mailbox: Mailbox::new(address) }
    }

    /// Every job, in the order of [`JobName::ALL`].
    ///
    /// # Errors
    /// When the actor has stopped or is too busy.
    pub async fn reports(&self) -> Result<Vec<JobReport>, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.offer(ListJobs { reply }).map_err(|_| NoAnswer)?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(reports)) => Ok(reports),
            Ok(Err(_)) | Err(_) => Err(NoAnswer),
        }
    }

    /// Starts no further job and drops the one that runs; commands it has sent to the writers are still done.
    pub fn stop(&self) {
        // One that is gone has stopped already.
        let _ = self.mailbox.offer(Stop);
    }
}
