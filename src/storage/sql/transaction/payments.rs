//! Dead letters that are to be worked on again. Messages and payments go back to those who work on them.

use serde_json::json;
use sqlx_macros::FromRow;

use crate::domain::payment::PaymentState;
use crate::storage::commands::ReplayDeadLetters;
use crate::storage::ports::DeadLetterState;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::execute::{Context, Execute};

// Rows that somebody holds are passed over: to wait for them behind rows of any kind could be waiting in a circle. They are being
// worked on already, or are found by the next request.
static OPEN: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    let text = |lock: &str| {
        format!(
            "SELECT d.source FROM dead_letters d WHERE d.state = '{open}' AND d.id > $1 \
             AND ($2 = '' OR d.kind = $2) ORDER BY d.id LIMIT $3 {lock}"
        )
    };
    Statement::apart(Operation::Select("dead_letters"), "", &text("FOR NO KEY UPDATE SKIP LOCKED"), &text(""))
});

static ONE: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    let text = |lock: &str| {
        format!(
            "SELECT d.source FROM dead_letters d WHERE d.id = $1 AND d.state = '{open}' AND ($2 = '' OR d.kind = $2) \
             LIMIT $3 {lock}"
        )
    };
    Statement::apart(Operation::Select("dead_letters"), "", &text("FOR NO KEY UPDATE SKIP LOCKED"), &text(""))
});

static REPLAYED: LazyStatement = LazyStatement::new(|| {
    let replayed = DeadLetterState::Replayed.as_str();
    Statement::new(
        Operation::Update("dead_letters"),
        &format!(
            "UPDATE dead_letters SET state = '{replayed}', replays = replays + 1, updated_at = $2 WHERE source = {{any}}"
        ),
    )
});

fn with_lock(table: &'static str, change: &str, which: &str) -> Statement {
    let text = |lock: &str| {
        format!(
            "UPDATE {table} SET {change} WHERE id IN (SELECT t.id FROM {table} t WHERE t.id = {{any}} AND {which} {lock})"
        )
    };
    Statement::apart(Operation::Update(table), "", &text("FOR NO KEY UPDATE SKIP LOCKED"), &text(""))
}

static MESSAGES: LazyStatement = LazyStatement::new(|| {
    with_lock(
        "payment_messages",
        "state = 'due', attempts = 0, due_at = $2, updated_at = $2, replays = replays + 1",
        "t.state = 'dead'",
    )
});

static PAYMENTS: LazyStatement = LazyStatement::new(|| {
    let open = PaymentState::Initiated.as_str();
    with_lock("payments", "ask_at = $2", &format!("t.state = '{open}'"))
});

#[derive(FromRow)]
struct SourceRow {
    source: String,
}

impl Execute for ReplayDeadLetters {
    type Output = u32;

    async fn execute(&self, cx: Context<'_>) -> Result<u32, TxError> {
        let Context { connection, now, .. } = cx;
        let id = self.id.map(|id| id.to_string());
        let statement = if id.is_some() { &ONE } else { &OPEN };
        let target = id.clone().unwrap_or_else(|| "all".to_owned());
        let kind = Arg::text(self.kind.as_deref().unwrap_or_default());
        let args = [Arg::Text(id.unwrap_or_default()), kind, Arg::Int(self.limit.into())];
        let rows: Vec<SourceRow> = connection.fetch(statement, &args).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let args = [Arg::texts(rows.iter().map(|row| &row.source)), Arg::Int(now.as_micros())];
        for statement in [&REPLAYED, &MESSAGES, &PAYMENTS] {
            connection.execute(statement, &args).await?;
        }
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let detail = json!({ "kind": self.kind, "letters": count });
        let entry = AuditEntry { user: Some(self.user), action: "dead_letters_replayed", target, detail };
        audit::record(connection, [entry], now).await?;
        Ok(count)
    }
}
