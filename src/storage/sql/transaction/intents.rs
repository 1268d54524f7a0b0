//! Uses of channels to the outside: the row first, then what came of it.

use std::time::Duration;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, IntentId, OrderId};
use crate::domain::order::Status;
use crate::domain::saga::{Channel, Rung};
use crate::domain::time::Timestamp;
use crate::storage::commands::{BeginIntent, FinishIntent, IntentResult};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{corrupt, number};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

/// Nothing older is sent, also when a channel is switched on later.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// Waiting orders are counted up to this many: what is said to a person.
const COUNTED: u32 = 100;

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("intents"),
        "id text, channel text, rung text, business_id text, order_id text, waiting int, due_at int, expires_at int",
        "INSERT INTO intents (id, channel, rung, business_id, order_id, waiting, state, due_at, expires_at, created_at) \
         SELECT r.id, r.channel, r.rung, r.business_id, r.order_id, r.waiting, 'due', r.due_at, r.expires_at, r.due_at \
         FROM {rows} WHERE true ON CONFLICT (order_id, rung, channel) DO NOTHING",
    )
});

static WAITING: LazyStatement = LazyStatement::new(|| {
    let placed = Status::Placed.as_str();
    Statement::new(
        Operation::Select("orders"),
        &format!(
            "SELECT count(*) AS waiting FROM (SELECT 1 AS one FROM orders o \
             WHERE o.business_id = $1 AND o.status = '{placed}' LIMIT {COUNTED}) AS w"
        ),
    )
});

static BEGIN: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("intents"),
        "UPDATE intents SET due_at = $3 WHERE id = $1 AND due_at = $2 AND ended_at IS NULL",
    )
});

static FINISH: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("intents"),
        "UPDATE intents SET state = $2, attempts = attempts + $3, due_at = $4, ended_at = $5 \
         WHERE id = $1 AND ended_at IS NULL",
    )
});

/// A use of a channel that a transaction wants.
#[derive(Serialize)]
pub(super) struct NewIntent {
    id: IntentId,
    channel: Channel,
    rung: Rung,
    business_id: BusinessId,
    order_id: OrderId,
    waiting: u32,
    due_at: i64,
    expires_at: i64,
}

impl NewIntent {
    pub(super) fn new(
        id: IntentId,
        (channel, rung): (Channel, Rung),
        (business_id, order_id): (BusinessId, OrderId),
        waiting: u32,
        now: Timestamp,
    ) -> Self {
        let (due_at, expires_at) = (now.as_micros(), now.plus(LIFE).as_micros());
        Self { id, channel, rung, business_id, order_id, waiting, due_at, expires_at }
    }
}

/// Writes them; one that an order has had on this rung of this channel is not made again. Gives how many are due now.
pub(super) async fn write(connection: &mut Connection, intents: &[NewIntent]) -> Result<u32, TxError> {
    if intents.is_empty() {
        return Ok(0);
    }
    let written = connection.execute(&INSERT, &[Arg::rows(intents)]).await?;
    Ok(u32::try_from(written).unwrap_or(u32::MAX))
}

#[derive(FromRow)]
struct WaitingRow {
    waiting: i64,
}

/// Orders of a business that wait for an answer, at most [`COUNTED`].
pub(super) async fn waiting(connection: &mut Connection, business: BusinessId) -> Result<u32, TxError> {
    let row: Option<WaitingRow> = connection.fetch_first(&WAITING, &[Arg::text(business)]).await?;
    Ok(number("count", row.ok_or_else(|| corrupt("count"))?.waiting)?)
}

impl Execute for BeginIntent {
    type Output = bool;

    async fn execute(&self, cx: Context<'_>) -> Result<bool, TxError> {
        let Self { intent, due_at, until } = *self;
        let args = [Arg::text(intent), Arg::Int(due_at.as_micros()), Arg::Int(until.as_micros())];
        Ok(cx.connection.execute(&BEGIN, &args).await? > 0)
    }
}

impl Execute for FinishIntent {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let Self { intent, result } = *self;
        let (used, due, ended) = match result {
            IntentResult::Sent | IntentResult::Failed => (1, None, Some(cx.now)),
            IntentResult::NotConfigured | IntentResult::Cancelled => (0, None, Some(cx.now)),
            IntentResult::Retry(at) => (1, Some(at), None),
        };
        let micros = |at: Option<Timestamp>| Arg::OptInt(at.map(Timestamp::as_micros));
        let args =
            [Arg::text(intent), Arg::text(result.as_str()), Arg::Int(used), micros(due), micros(ended)];
        cx.connection.execute(&FINISH, &args).await.map(drop)
    }
}
