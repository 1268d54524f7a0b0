//! A restored copy that is held: what it would do by itself.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::saga::OrderSaga;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{DuePlace, HeldCopyReads, HeldOrder, HeldRefund};
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

use super::due_place::behind;

/// The condition that the order of this column is none of a restored copy that is held.
pub(super) fn not_of_held_copy(order: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM hub h JOIN orders held ON held.id = {order} \
         WHERE h.id = 1 AND held.created_at <= h.held_since)"
    )
}

static HELD_SINCE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("hub"), "SELECT held_since FROM hub WHERE id = 1")
});

static ORDERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_sagas"),
        "SELECT o.id, o.business_id, o.order_number, o.status, o.version, o.created_at, s.due_at, s.state \
         FROM order_sagas s JOIN orders o ON o.id = s.order_id \
         WHERE s.due_at IS NOT NULL AND (s.due_at, s.order_id) > ($2, $3) AND o.created_at <= $1 \
         ORDER BY s.due_at, s.order_id LIMIT $4",
    )
});

static REFUNDS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("refunds"),
        "SELECT f.id, f.order_id, f.amount_minor, p.currency FROM refunds f \
         JOIN payments p ON p.id = f.payment_id JOIN orders o ON o.id = f.order_id \
         WHERE f.due_at IS NOT NULL AND o.created_at <= $1 ORDER BY f.due_at, f.id LIMIT $2",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&HELD_SINCE, &ORDERS, &REFUNDS];

#[derive(FromRow)]
struct SinceRow {
    held_since: Option<i64>,
}

#[derive(FromRow)]
struct OrderRead {
    id: String,
    business_id: String,
    order_number: i64,
    status: String,
    version: i64,
    created_at: i64,
    due_at: i64,
    state: String,
}

impl OrderRead {
    fn into_order(self) -> Result<HeldOrder, StoreError> {
        // What a newer release wrote is listed without what it waits for.
        let saga: Option<OrderSaga> = serde_json::from_str(&self.state).ok();
        let order = parse("orders.id", &self.id)?;
        Ok(HeldOrder {
            order,
            business: parse("orders.business_id", &self.business_id)?,
            number: self.order_number,
            status: parse("orders.status", &self.status)?,
            version: self.version,
            created_at: Timestamp::from_micros(self.created_at),
            next: saga.as_ref().and_then(|saga| saga.next_kind().zip(saga.next_due())),
            place: DuePlace { due_at: Timestamp::from_micros(self.due_at), order },
        })
    }
}

#[derive(FromRow)]
struct RefundRead {
    id: String,
    order_id: String,
    amount_minor: i64,
    currency: String,
}

#[async_trait]
impl HeldCopyReads for SqlStore {
    async fn held_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<SinceRow> = self.fetch_first(&HELD_SINCE, &[]).await?;
        Ok(row.and_then(|row| row.held_since).map(Timestamp::from_micros))
    }

    async fn held_orders(
        &self,
        since: Timestamp,
        after: Option<DuePlace>,
        limit: u32,
    ) -> Result<Vec<HeldOrder>, StoreError> {
        let [from, order] = behind(after);
        let args = [Arg::Int(since.as_micros()), from, order, Arg::Int(limit.into())];
        let rows: Vec<OrderRead> = self.fetch(&ORDERS, &args).await?;
        rows.into_iter().map(OrderRead::into_order).collect()
    }

    async fn held_refunds(&self, since: Timestamp, limit: u32) -> Result<Vec<HeldRefund>, StoreError> {
        let args = [Arg::Int(since.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<RefundRead> = self.fetch(&REFUNDS, &args).await?;
        let refund = |row: RefundRead| {
            Ok(HeldRefund {
                refund: parse("refunds.id", &row.id)?,
                order: parse("refunds.order_id", &row.order_id)?,
                amount_minor: row.amount_minor,
                currency: row.currency,
            })
        };
        rows.into_iter().map(refund).collect()
    }
}
