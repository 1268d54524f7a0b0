//! Nodes, and the jobs that they share.

use std::time::Duration;

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, NodeId};
use crate::domain::node::{Node, NodeFacts};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{NodeReads, StoredJob, StoredRun};
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

// Every one there is: a job deletes those that have gone.
static NODES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("nodes"),
        "SELECT node, version, schema_version, state, sockets, rooms, started_at, until FROM nodes \
         ORDER BY node LIMIT 1000",
    )
});

static JOBS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("job_leases"),
        "SELECT job, node, until, began_at, due_at, last_node, last_began_at, last_took_ms, last_outcome, last_rows, \
             last_error FROM job_leases ORDER BY job",
    )
});

static DEVICES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("reach_leases"),
        "SELECT l.node, l.devices FROM reach_leases l WHERE l.business_id = $1 AND l.until > $2 ORDER BY l.node",
    )
});

#[derive(FromRow)]
struct NodeRow {
    node: String,
    version: String,
    schema_version: i64,
    state: String,
    sockets: i64,
    rooms: i64,
    started_at: i64,
    until: i64,
}

#[derive(FromRow)]
struct JobRow {
    job: String,
    node: String,
    until: i64,
    began_at: i64,
    due_at: i64,
    last_node: Option<String>,
    last_began_at: Option<i64>,
    last_took_ms: Option<i64>,
    last_outcome: Option<String>,
    last_rows: Option<i64>,
    last_error: Option<String>,
}

#[derive(FromRow)]
struct DevicesRow {
    node: String,
    devices: i64,
}

impl NodeRow {
    /// `None` for a state of a newer release.
    fn into_node(self) -> Result<Option<Node>, StoreError> {
        let Ok(state) = self.state.parse() else { return Ok(None) };
        Ok(Some(Node {
            id: parse("nodes.node", &self.node)?,
            facts: NodeFacts {
                version: self.version,
                schema_version: self.schema_version,
                state,
                sockets: number("nodes.sockets", self.sockets)?,
                rooms: number("nodes.rooms", self.rooms)?,
                started_at: Timestamp::from_micros(self.started_at),
            },
            until: Timestamp::from_micros(self.until),
        }))
    }
}

impl JobRow {
    fn into_job(self) -> Result<StoredJob, StoreError> {
        let last = match (self.last_node, self.last_began_at, self.last_took_ms, self.last_outcome) {
            (Some(node), Some(began_at), Some(took), Some(outcome)) => Some(StoredRun {
                node,
                began_at: Timestamp::from_micros(began_at),
                took: Duration::from_millis(number("job_leases.last_took_ms", took)?),
                outcome,
                rows: self.last_rows.map(|rows| number("job_leases.last_rows", rows)).transpose()?,
                error: self.last_error,
            }),
            _ => None,
        };
        Ok(StoredJob {
            job: self.job,
            node: self.node,
            until: Timestamp::from_micros(self.until),
            began_at: Timestamp::from_micros(self.began_at),
            due_at: Timestamp::from_micros(self.due_at),
            last,
        })
    }
}

#[async_trait]
impl NodeReads for SqlStore {
    async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let rows: Vec<NodeRow> = self.fetch(&NODES, &[]).await?;
        rows.into_iter().filter_map(|row| row.into_node().transpose()).collect()
    }

    async fn jobs(&self) -> Result<Vec<StoredJob>, StoreError> {
        let rows: Vec<JobRow> = self.fetch(&JOBS, &[]).await?;
        rows.into_iter().map(JobRow::into_job).collect()
    }

    async fn devices_by_node(
        &self,
        business: BusinessId,
        now: Timestamp,
    ) -> Result<Vec<(NodeId, u32)>, StoreError> {
        let rows: Vec<DevicesRow> =
            self.fetch(&DEVICES, &[Arg::text(business), Arg::Int(now.as_micros())]).await?;
        let node = |row: DevicesRow| {
            Ok((parse("reach_leases.node", &row.node)?, number("reach_leases.devices", row.devices)?))
        };
        rows.into_iter().map(node).collect()
    }
}
