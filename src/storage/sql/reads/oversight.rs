//! Figures of the whole hub for the metrics.

use std::time::Duration;

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::business::{Business, PauseCause, TradingWord};
use crate::domain::order::Status;
use crate::domain::payment::RefundState;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{BusinessesInUse, Overdue, OversightReads};
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BUSINESS_IN_USE, BusinessRow, corrupt, is_in_use, number};
use crate::storage::sql::statement::{Arg, LazyStatement, NO_TABLE, Operation, Statement};
use crate::storage::sql::store::SqlStore;

/// Rows are counted up to this many.
const COUNTED: u32 = 10_000;

/// Time in which a refund usually succeeds; then operators are told.
const REFUND_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Time in which a message of the payment provider is worked on, and its order placed.
const PLACED_WITHIN: Duration = Duration::from_secs(2 * 60);

/// Time in which a deadline is acted on, also when another node has to take over.
const ACTED_WITHIN: Duration = Duration::from_secs(5);

fn counted(table: &'static str, rows: &str) -> Statement {
    let text =
        format!("SELECT COUNT(*) AS counted FROM (SELECT 1 AS one FROM {rows} LIMIT {COUNTED}) AS found");
    Statement::new(Operation::Select(table), &text)
}

static FAILED_REFUNDS: LazyStatement = LazyStatement::new(|| {
    counted("refunds", &format!("refunds f WHERE f.state = '{}'", RefundState::Failed.as_str()))
});

static LATE_REFUNDS: LazyStatement = LazyStatement::new(|| {
    let (done, failed) = (RefundState::Succeeded.as_str(), RefundState::Failed.as_str());
    let late = format!("f.state <> '{done}' AND f.state <> '{failed}' AND f.created_at <= $1");
    counted("refunds", &format!("refunds f WHERE {late}"))
});

// An order is placed in the commit that counts its payment, so it is missing only while the message waits.
static PAID_NOT_PLACED: LazyStatement = LazyStatement::new(|| {
    let pending = Status::PendingPayment.as_str();
    let rows = format!(
        "payment_messages m JOIN payments p ON p.id = m.payment_id JOIN orders o ON o.id = p.order_id \
         WHERE m.state <> 'done' AND m.created_at <= $1 AND o.status = '{pending}' GROUP BY o.id"
    );
    counted("payment_messages", &rows)
});

static OVERDUE_DEADLINES: LazyStatement = LazyStatement::new(|| {
    counted("order_sagas", "order_sagas s WHERE s.due_at IS NOT NULL AND s.due_at <= $1")
});

// Reads every business, of which there are some thousands; the pauses of those that have some are judged by the domain.
static OPEN: LazyStatement = LazyStatement::new(|| {
    let open = format!(
        "businesses b WHERE b.state IN ('open', 'busy') AND b.pauses IS NULL AND {}",
        is_in_use("$1")
    );
    counted("businesses", &open)
});

static PAUSED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!(
            "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.state <> 'closed' \
             AND (b.pauses IS NOT NULL OR b.state = 'paused') AND {} ORDER BY b.id LIMIT {COUNTED}",
            is_in_use("$1")
        ),
    )
});

static WITHOUT_DRIVER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        "SELECT v.zone, COUNT(*) AS counted FROM deliveries v WHERE v.status IN ('unassigned', 'offered') \
         AND NOT EXISTS (SELECT 1 FROM driver_zones z JOIN drivers d ON d.user_id = z.user_id \
             WHERE z.zone = v.zone AND d.online) \
         GROUP BY v.zone ORDER BY counted DESC, v.zone LIMIT $1",
    )
});

// What only receives the log (`pg_receivewal`, a base backup) replays nothing and is no standby. A standby that has replayed
// everything has no lag.
static REPLICAS: LazyStatement = LazyStatement::new(|| {
    Statement::apart(
        Operation::Select(NO_TABLE),
        "",
        "SELECT application_name AS name, CAST(MAX(COALESCE(EXTRACT(EPOCH FROM replay_lag), 0)) AS DOUBLE PRECISION) AS seconds \
         FROM pg_stat_replication WHERE replay_lsn IS NOT NULL GROUP BY application_name ORDER BY application_name LIMIT $1",
        "SELECT '' AS name, 0.0 AS seconds WHERE $1 < 0",
    )
});

static SIZE: LazyStatement = LazyStatement::new(|| {
    Statement::apart(
        Operation::Select(NO_TABLE),
        "",
        "SELECT pg_database_size(current_database()) AS counted",
        "SELECT c.page_count * s.page_size AS counted FROM pragma_page_count() AS c, pragma_page_size() AS s",
    )
});

#[derive(FromRow)]
struct CountRow {
    counted: i64,
}

#[derive(FromRow)]
struct ZoneRow {
    zone: String,
    counted: i64,
}

#[derive(FromRow)]
struct ReplicaRow {
    name: String,
    seconds: f64,
}

impl SqlStore {
    async fn count(&self, statement: &LazyStatement, args: &[Arg]) -> Result<u32, StoreError> {
        let row: Option<CountRow> = self.fetch_first(statement, args).await?;
        number("count", row.ok_or_else(|| corrupt("count"))?.counted)
    }
}

#[async_trait]
impl OversightReads for SqlStore {
    async fn overdue(&self, now: Timestamp) -> Result<Overdue, StoreError> {
        let before = |within| [Arg::Int(now.minus(within).as_micros())];
        Ok(Overdue {
            refunds_failed: self.count(&FAILED_REFUNDS, &[]).await?,
            refunds_late: self.count(&LATE_REFUNDS, &before(REFUND_WITHIN)).await?,
            paid_not_placed: self.count(&PAID_NOT_PLACED, &before(PLACED_WITHIN)).await?,
            deadlines: self.count(&OVERDUE_DEADLINES, &before(ACTED_WITHIN)).await?,
        })
    }

    async fn businesses_in_use(&self, now: Timestamp) -> Result<BusinessesInUse, StoreError> {
        let since = [Arg::Int(now.minus(BUSINESS_IN_USE).as_micros())];
        let mut found = BusinessesInUse { open: self.count(&OPEN, &since).await?, paused_by_machine: 0 };
        for row in self.fetch::<BusinessRow>(&PAUSED, &since).await? {
            let business = row.into_business_without_contact()?;
            if business.takes_orders(now).is_ok() {
                found.open += 1;
            } else if is_paused_by_machine(&business, now) {
                found.paused_by_machine += 1;
            }
        }
        Ok(found)
    }

    async fn without_driver(&self, limit: u32) -> Result<Vec<(String, u32)>, StoreError> {
        let rows: Vec<ZoneRow> = self.fetch(&WITHOUT_DRIVER, &[Arg::Int(limit.into())]).await?;
        rows.into_iter().map(|row| Ok((row.zone, number("count", row.counted)?))).collect()
    }

    async fn replica_lags(&self, limit: u32) -> Result<Vec<(String, f64)>, StoreError> {
        let rows: Vec<ReplicaRow> = self.fetch(&REPLICAS, &[Arg::Int(limit.into())]).await?;
        Ok(rows.into_iter().map(|row| (row.name, row.seconds)).collect())
    }

    async fn size(&self) -> Result<u64, StoreError> {
        let row: Option<CountRow> = self.fetch_first(&SIZE, &[]).await?;
        Ok(number("size", row.ok_or_else(|| corrupt("size"))?.counted)?)
    }
}

fn is_paused_by_machine(business: &Business, now: Timestamp) -> bool {
    let by_machine = |cause| matches!(cause, PauseCause::Unreachable | PauseCause::Unanswered);
    business.trading(now) == TradingWord::Paused
        && business.holding_pauses(now).any(|pause| by_machine(pause.cause))
}

/// Every statement of this file that does not read all businesses, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] =
    &[&FAILED_REFUNDS, &LATE_REFUNDS, &PAID_NOT_PLACED, &OVERDUE_DEADLINES, &WITHOUT_DRIVER];
