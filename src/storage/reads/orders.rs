//! Single orders, and what a business did.

use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::batch::ITEMS_OF_ORDERS;
use crate::storage::error::StoreError;
use crate::storage::ports::BusinessStats;
use crate::storage::rows::{ORDER_COLUMNS, OrderRow, assemble, corrupt, number};
use crate::storage::statement::{Arg, LazyStatement, Statement};
use crate::storage::store::SqlStore;

static ORDER: LazyStatement =
    LazyStatement::new(|| Statement::new(&format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = $1")));

// Both halves are ranges of an index: today's orders, and those in one status.
static STATS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT count(*) AS orders, \
             CAST(COALESCE(SUM(CASE WHEN o.status IN ('rejected', 'cancelled', 'failed') THEN 0 \
                 ELSE o.total_minor END), 0) AS BIGINT) AS revenue, \
             (SELECT count(*) FROM orders w WHERE w.business_id = $1 AND w.status = 'placed') AS pending \
         FROM orders o WHERE o.business_id = $1 AND o.created_at >= $2 AND o.status <> 'pending_payment'",
    )
});

/// What is asked here, for a look at how.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&ORDER, &STATS];

#[derive(FromRow)]
struct StatsRow {
    orders: i64,
    revenue: i64,
    pending: i64,
}

pub(in crate::storage) async fn order(store: &SqlStore, id: OrderId) -> Result<Option<Order>, StoreError> {
    let rows: Vec<OrderRow> = store.fetch(&ORDER, &[Arg::text(id)]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(with_lines(store, rows).await?.pop())
}

pub(super) async fn with_lines(store: &SqlStore, rows: Vec<OrderRow>) -> Result<Vec<Order>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Arg::texts(rows.iter().map(|row| &row.id));
    let lines = store.fetch(&ITEMS_OF_ORDERS, &[ids]).await?;
    assemble(rows, lines, &store.cipher)
}

pub(in crate::storage) async fn stats(
    store: &SqlStore,
    business: BusinessId,
    since: Timestamp,
) -> Result<BusinessStats, StoreError> {
    let at = Timestamp::now();
    let args = [Arg::text(business), Arg::Int(since.as_micros())];
    let row: Option<StatsRow> = store.fetch_first(&STATS, &args).await?;
    let row = row.ok_or_else(|| corrupt("orders"))?;
    Ok(BusinessStats {
        orders: number("count", row.orders)?,
        revenue_minor: row.revenue,
        pending: number("count", row.pending)?,
        at,
    })
}
