//! Sagas and uses of channels that are due, by their own indexes.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::order::Status;
use crate::domain::saga::{Clocks, Rung};
use crate::domain::time::Timestamp;
use crate::storage::commands::SagaDue;
use crate::storage::error::StoreError;
use crate::storage::ports::{DueIntent, DuePlace, SagaReads};
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};
use crate::storage::sql::store::SqlStore;

use super::due_place::behind;
use super::held_copy::not_of_held_copy;

static DUE_SAGAS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_sagas"),
        "SELECT order_id, business_id, attempt, due_at FROM order_sagas \
         WHERE due_at IS NOT NULL AND due_at <= $1 AND (due_at, order_id) > ($2, $3) \
         ORDER BY due_at, order_id LIMIT $4",
    )
});

static NEXT_SAGA: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_sagas"),
        "SELECT due_at FROM order_sagas WHERE due_at IS NOT NULL AND due_at > $1 ORDER BY due_at, order_id LIMIT 1",
    )
});

static DUE_INTENTS: LazyStatement = LazyStatement::new(|| {
    let placed = Status::Placed.as_str();
    let undelivered = words([Rung::Undelivered, Rung::Mail].map(Rung::as_str));
    let free = not_of_held_copy("i.order_id");
    Statement::new(
        Operation::Select("intents"),
        &format!(
            "SELECT i.id, i.channel, i.rung, i.business_id, i.order_id, i.waiting, i.attempts, i.due_at, i.expires_at, \
                 (EXISTS (SELECT 1 FROM orders o WHERE o.id = i.order_id AND o.status = '{placed}' {{one}}) \
                  AND NOT (i.rung IN ({undelivered}) \
                      AND EXISTS (SELECT 1 FROM order_acks a WHERE a.order_id = i.order_id {{one}}))) AS is_needed \
             FROM intents i WHERE i.due_at IS NOT NULL AND i.due_at <= $1 AND {free} ORDER BY i.due_at, i.id LIMIT $2"
        ),
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&DUE_SAGAS, &NEXT_SAGA, &DUE_INTENTS];

#[derive(FromRow)]
struct DueRow {
    order_id: String,
    business_id: String,
    attempt: i64,
    due_at: i64,
}

#[derive(FromRow)]
struct NextRow {
    due_at: i64,
}

#[derive(FromRow)]
struct IntentRow {
    id: String,
    channel: String,
    rung: String,
    business_id: String,
    order_id: String,
    waiting: i64,
    attempts: i64,
    due_at: i64,
    expires_at: i64,
    is_needed: bool,
}

impl IntentRow {
    fn into_intent(self) -> Result<DueIntent, StoreError> {
        Ok(DueIntent {
            id: parse("intents.id", &self.id)?,
            channel: parse("intents.channel", &self.channel)?,
            rung: parse("intents.rung", &self.rung)?,
            business: parse("intents.business_id", &self.business_id)?,
            order: parse("intents.order_id", &self.order_id)?,
            is_needed: self.is_needed,
            waiting: number("intents.waiting", self.waiting)?,
            attempts: number("intents.attempts", self.attempts)?,
            due_at: Timestamp::from_micros(self.due_at),
            expires_at: Timestamp::from_micros(self.expires_at),
        })
    }
}

#[async_trait]
impl SagaReads for SqlStore {
    fn set_clocks(&self, clocks: Clocks) {
        *self.clocks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(clocks);
    }

    async fn due_sagas(
        &self,
        before: Timestamp,
        after: Option<DuePlace>,
        limit: u32,
    ) -> Result<Vec<SagaDue>, StoreError> {
        let [from, order] = behind(after);
        let args = [Arg::Int(before.as_micros()), from, order, Arg::Int(limit.into())];
        let rows: Vec<DueRow> = self.fetch(&DUE_SAGAS, &args).await?;
        let due = |row: DueRow| {
            Ok(SagaDue {
                order: parse("order_sagas.order_id", &row.order_id)?,
                business: parse("order_sagas.business_id", &row.business_id)?,
                attempt: row.attempt,
                due_at: Some(Timestamp::from_micros(row.due_at)),
            })
        };
        rows.into_iter().map(due).collect()
    }

    async fn next_saga_due(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<NextRow> = self.fetch_first(&NEXT_SAGA, &[Arg::Int(after.as_micros())]).await?;
        Ok(row.map(|row| Timestamp::from_micros(row.due_at)))
    }

    async fn due_intents(&self, before: Timestamp, limit: u32) -> Result<Vec<DueIntent>, StoreError> {
        let args = [Arg::Int(before.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<IntentRow> = self.fetch(&DUE_INTENTS, &args).await?;
        // A channel of a newer release is used by its nodes; to this one it is not there.
        Ok(rows.into_iter().filter_map(|row| row.into_intent().ok()).collect())
    }
}
