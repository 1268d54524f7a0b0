//! Background jobs: which node runs one, and the fence that keeps a node that lost it from going on.

use std::time::Duration;

use sqlx_macros::FromRow;

use crate::domain::time::Timestamp;
use crate::storage::commands::{ClaimJob, EndJob, HeldJob, JobClaim};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

/// A node that was refused a job asks again no sooner.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Longest text of an error that is kept, characters.
const MAX_ERROR: usize = 500;

// Of a node that has gone, its lease runs out and the job is still due.
static CLAIM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("job_leases"),
        "INSERT INTO job_leases (job, node, fence, until, began_at, due_at) VALUES ($1, $2, 1, $4, $3, $3) \
         ON CONFLICT (job) DO UPDATE SET node = excluded.node, fence = job_leases.fence + 1, until = excluded.until, \
             began_at = excluded.began_at \
         WHERE job_leases.until <= excluded.began_at \
             AND (job_leases.due_at <= excluded.began_at OR job_leases.due_at > $5) \
         RETURNING fence",
    )
});

static WAIT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("job_leases"),
        "SELECT j.until, j.due_at FROM job_leases j WHERE j.job = $1",
    )
});

// Locks the row, so that a node that wants to take the job waits for the end of this transaction.
static HOLD: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("job_leases"),
        "UPDATE job_leases SET until = $3 WHERE job = $1 AND fence = $2",
    )
});

static END: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("job_leases"),
        "UPDATE job_leases SET until = $3, due_at = $4, last_node = node, last_began_at = began_at, last_took_ms = $5, \
             last_outcome = $6, last_rows = $7, last_error = $8 WHERE job = $1 AND fence = $2",
    )
});

#[derive(FromRow)]
struct FenceRow {
    fence: i64,
}

#[derive(FromRow)]
struct WaitRow {
    until: i64,
    due_at: i64,
}

impl Execute for ClaimJob {
    type Output = JobClaim;

    async fn execute(&self, cx: Context<'_>) -> Result<JobClaim, TxError> {
        let Context { connection, now, .. } = cx;
        let wanted = [
            Arg::text(self.job),
            Arg::text(self.node),
            Arg::Int(now.as_micros()),
            Arg::Int(now.plus(self.lease).as_micros()),
            Arg::Int(now.plus(self.period.saturating_mul(2)).as_micros()),
        ];
        if let Some(FenceRow { fence }) = connection.fetch_first(&CLAIM, &wanted).await? {
            return Ok(JobClaim::Taken(fence));
        }
        let row: Option<WaitRow> = connection.fetch_first(&WAIT, &[Arg::text(self.job)]).await?;
        let until = row.map_or(now, |row| Timestamp::from_micros(row.until.max(row.due_at)));
        let wait = until.since(now).max(ASK_AGAIN);
        Ok(JobClaim::Later(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Whether a job is still in the hands of the node that writes; if so, it is for as long again.
pub(super) async fn holds(
    connection: &mut Connection,
    held: HeldJob,
    now: Timestamp,
) -> Result<bool, TxError> {
    let until = Arg::Int(now.plus(held.lease).as_micros());
    Ok(connection.execute(&HOLD, &[Arg::text(held.job), Arg::Int(held.fence), until]).await? > 0)
}

impl Execute for EndJob {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let now = cx.now;
        let error = self.error.as_ref().map(|error| error.chars().take(MAX_ERROR).collect());
        let args = [
            Arg::text(self.held.job),
            Arg::Int(self.held.fence),
            Arg::Int(now.as_micros()),
            Arg::Int(now.plus(self.due_in).as_micros()),
            Arg::Int(i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX)),
            Arg::text(self.outcome),
            Arg::OptInt(self.rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))),
            Arg::OptText(error),
        ];
        cx.connection.execute(&END, &args).await.map(drop)
    }
}
