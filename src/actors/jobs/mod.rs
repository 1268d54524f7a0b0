//! Background jobs: clean-up, retention and maintenance of the database, each once for all nodes; on a node one at a time, urgent
//! ones first.

mod actor;
mod job;
mod messages;
mod report;
mod runner;
mod settings;
mod state;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::Actor;
use tokio::sync::oneshot;

use crate::domain::ids::NodeId;
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::mailbox::Mailbox;
use super::persistence::Persistence;
use actor::JobsActor;
use messages::{ListDue, Stop};
use runner::JobRunner;

pub use job::{JobName, JobOutcome, Urgency};
pub use report::{JobReport, JobState};
pub use settings::RetentionSettings;

/// The actor of the jobs does not answer: it has stopped or is too busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job scheduler does not answer")]
pub struct NoAnswer;

/// The jobs cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum JobsUnavailable {
    /// The actor does not answer.
    #[error(transparent)]
    Scheduler(#[from] NoAnswer),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages waiting for the actor before further ones are refused.
const MAILBOX: usize = 16;

/// The longest wait for the actor, which only keeps the list.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The handle to this node's jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    mailbox: Mailbox<JobsActor>,
    store: Arc<dyn Store>,
}

impl Jobs {
    /// Starts the actor on the present arbiter; jobs do nothing there but wait for the writers.
    pub fn start(
        store: Arc<dyn Store>,
        persistence: Persistence,
        node: NodeId,
        settings: RetentionSettings,
        metrics: Metrics,
    ) -> Self {
        let runner = JobRunner { store: store.clone(), persistence, node, settings };
        let actor = JobsActor::new(runner, metrics);
        let address = JobsActor::create(move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            actor
        });
        Self { mailbox: Mailbox::new(address), store }
    }

    /// Every job, in the order of [`JobName::ALL`], the same on every node; of one that no node has taken yet, this node's own plan.
    ///
    /// # Errors
    /// When the store does not answer, or the actor has stopped or is too busy.
    pub async fn reports(&self) -> Result<Vec<JobReport>, JobsUnavailable> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.offer(ListDue { reply }).map_err(|_| NoAnswer)?;
        let due = match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(due)) => due,
            Ok(Err(_)) | Err(_) => return Err(NoAnswer.into()),
        };
        let (now, stored) = (self.store.clock().now(), self.store.jobs().await?);
        Ok(due.into_iter().map(|(name, until)| JobReport::of(name, until, &stored, now)).collect())
    }

    /// Starts no further job and drops the one that runs; commands it has sent to the writers are still done.
    pub fn stop(&self) {
        // One that is gone has stopped already.
        let _ = self.mailbox.offer(Stop);
    }
}
