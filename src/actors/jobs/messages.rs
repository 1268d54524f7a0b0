//! Messages to the actor of background jobs.

use actix::prelude::Message;
use tokio::sync::oneshot;

use crate::domain::time::Timestamp;

use super::job::JobName;

/// Asks when this node tries each job.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ListDue {
    pub(super) reply: oneshot::Sender<Vec<(JobName, Timestamp)>>,
}

/// Ends the actor and drops the job that runs.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
