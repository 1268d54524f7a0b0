//! Background jobs, which run once for all nodes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::NodeId;

use super::Write;

/// Take a job that is due and that no node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimJob {
    /// The job.
    pub job: &'static str,
    /// The node that wants to run it.
    pub node: NodeId,
    /// From one run to the next; a due time further ahead was made by a clock that was wrong and does not count.
    pub period: Duration,
    /// How long the job is the node's without another write of it.
    pub lease: Duration,
}

/// Whether a node got a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobClaim {
    /// It did: every write of the job names this fence.
    Taken(i64),
    /// It may ask again after so many milliseconds: another node runs the job, or has run it.
    Later(u64),
}

/// A job in the hands of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldJob {
    /// The job.
    pub job: &'static str,
    /// The fence of [`JobClaim::Taken`].
    pub fence: i64,
    /// How long the job is the node's after this write.
    pub lease: Duration,
}

/// One write of a job. It changes nothing when another node has taken the job since.
#[derive(Clone, Debug)]
pub struct WriteOfJob {
    /// The job.
    pub held: HeldJob,
    /// The write.
    pub write: Write,
}

/// A job has ended: it is due again, for whichever node is first. Nothing when another node has taken it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndJob {
    /// The job.
    pub held: HeldJob,
    /// From now to the next run.
    pub due_in: Duration,
    /// How long it took.
    pub took: Duration,
    /// The word of its outcome.
    pub outcome: &'static str,
    /// Rows that it deleted, if it is done.
    pub rows: Option<u64>,
    /// The cause, if it failed.
    pub error: Option<String>,
}
