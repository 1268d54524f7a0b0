//! Jobs as operators see them, on whichever node.

use crate::domain::time::Timestamp;
use crate::storage::{StoredJob, StoredRun};

use super::job::JobName;

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
    pub last: Option<StoredRun>,
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
        Self { name, state, last: stored.last.clone() }
    }
}
