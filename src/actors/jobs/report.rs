//! Jobs as operators see them, on whichever node.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::storage::{StoredJob, StoredRun};

use super::job::JobName;

/// A run of a job that has ended, on whichever node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The node.
    pub node: String,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The word of what it came to.
    pub outcome: String,
    /// Rows that it deleted, if it is done.
    pub rows: Option<u64>,
    /// The cause, if it failed.
    pub error: Option<String>,
}

/// The present state of a job, on whichever node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It runs.
    Running {
        /// The node.
        node: String,
        /// Start of the run.
        since: Timestamp,
    },
    /// It waits for its turn.
    Waiting {
        /// Its due time.
        until: Timestamp,
    },
}

/// A job as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// Which.
    pub name: JobName,
    /// Now.
    pub state: JobState,
    /// The last time; `None` before the first run of the hub.
    pub last: Option<JobRun>,
}

impl JobReport {
    /// A job with what is stored of it, `due` being this node's plan for one of which nothing is.
    pub(super) fn of(name: JobName, due: Timestamp, stored: &[StoredJob], now: Timestamp) -> Self {
        let Some(stored) = stored.iter().find(|stored| stored.job == name.as_str()) else {
            return Self { name, state: JobState::Waiting { until: due }, last: None };
        };
        let state = if stored.until > now {
            JobState::Running { node: stored.node.clone(), since: stored.began_at }
        } else {
            JobState::Waiting { until: stored.due_at }
        };
        let last = stored.last.clone().map(|run| {
            let StoredRun { node, began_at, took, outcome, rows, error } = run;
            JobRun { node, began_at, took, outcome, rows, error }
        });
        Self { name, state, last }
    }
}
