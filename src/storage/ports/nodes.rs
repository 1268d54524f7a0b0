//! Nodes of the hub, and the jobs that they share, as they are read.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, NodeId};
use crate::domain::node::Node;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// A job that some node has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJob {
    /// The word of the job.
    pub job: String,
    /// The node that runs it or has run it last.
    pub node: String,
    /// Until when it counts as running; in the past when it does not run.
    pub until: Timestamp,
    /// The time at which it was taken last.
    pub began_at: Timestamp,
    /// The time at which it is due again.
    pub due_at: Timestamp,
    /// The last run that has ended.
    pub last: Option<StoredRun>,
}

/// The end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The node that ran it.
    pub node: String,
    /// The time at which it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The word of its outcome.
    pub outcome: String,
    /// Rows that it deleted, if it was done.
    pub rows: Option<u64>,
    /// The cause, if it failed.
    pub error: Option<String>,
}

/// Reads of nodes and jobs.
#[async_trait]
pub trait NodeReads: Send + Sync {
    /// The nodes that were heard of within the last hour, with those that have gone, by id: about as many as were started in it.
    /// One whose state only a newer release knows is left out.
    async fn nodes(&self) -> Result<Vec<Node>, StoreError>;
    /// Every job that was ever taken.
    async fn jobs(&self) -> Result<Vec<StoredJob>, StoreError>;
    /// How many devices each node counts that can ring for a business at `now`.
    async fn devices_by_node(
        &self,
        business: BusinessId,
        now: Timestamp,
    ) -> Result<Vec<(NodeId, u32)>, StoreError>;
}
