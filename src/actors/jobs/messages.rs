//! Messages to the actor of background jobs.

use actix::prelude::Message;
use tokio::sync::oneshot;

use super::job::JobReport;

/// Asks for every job with its state.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ListJobs {
    pub(super) reply: oneshot::Sender<Vec<JobReport>>,
}

/// Ends the actor and drops the job that runs.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
