//! Single orders, and what a business did.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::{Order, Status};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{BusinessStats, OrderPage, OrderQuery, OrderReads, TimelineEntry};
use crate::storage::sql::rows::{ORDER_COLUMNS, OrderRow, corrupt, number};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};
use crate::storage::sql::store::SqlStore;

use super::answer_times;
use super::lists::{self, Asker};
use super::order_items::with_lines;
use super::timeline::timeline;

static ORDER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = $1"),
    )
});

// Both halves are ranges of an index: today's orders, and those in one status.
static STATS: LazyStatement = LazyStatement::new(|| {
    let nothing = words(Status::ALL.into_iter().filter(|s| s.is_end_without_delivery()).map(Status::as_str));
    let (placed, unpaid) = (Status::Placed.as_str(), Status::PendingPayment.as_str());
    let text = format!(
        "SELECT count(*) AS orders, \
             CAST(COALESCE(SUM(CASE WHEN o.status IN ({nothing}) THEN 0 \
                 ELSE o.total_minor END), 0) AS BIGINT) AS revenue, \
             (SELECT count(*) FROM orders w WHERE w.business_id = $1 AND w.status = '{placed}') AS pending \
         FROM orders o WHERE o.business_id = $1 AND o.created_at >= $2 AND o.status <> '{unpaid}'"
    );
    Statement::new(Operation::Select("orders"), &text)
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&ORDER, &STATS];

#[derive(FromRow)]
struct StatsRow {
    orders: i64,
    revenue: i64,
    pending: i64,
}

#[async_trait]
impl OrderReads for SqlStore {
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let rows: Vec<OrderRow> = self.fetch(&ORDER, &[Arg::text(id)]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(with_lines(self, rows).await?.pop())
    }

    async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, StoreError> {
        lists::page(&Asker::new(self), query).await
    }

    async fn plans_of_orders(&self, query: &OrderQuery) -> Result<Vec<String>, StoreError> {
        let asker = Asker::explaining(self);
        lists::page(&asker, query).await?;
        Ok(asker.into_plans())
    }

    async fn timeline(&self, order: OrderId) -> Result<Vec<TimelineEntry>, StoreError> {
        timeline(self, order).await
    }

    async fn business_stats(
        &self,
        business: BusinessId,
        since: Timestamp,
    ) -> Result<BusinessStats, StoreError> {
        let at = self.clock.now();
        let args = [Arg::text(business), Arg::Int(since.as_micros())];
        let row: Option<StatsRow> = self.fetch_first(&STATS, &args).await?;
        let row = row.ok_or_else(|| corrupt("orders"))?;
        let answers = answer_times::of_businesses(self, &[business], since).await?;
        Ok(BusinessStats {
            orders: number("count", row.orders)?,
            revenue_minor: row.revenue,
            pending: number("count", row.pending)?,
            answers: answers.first().map(|(_, times)| *times).unwrap_or_default(),
            at,
        })
    }
}
