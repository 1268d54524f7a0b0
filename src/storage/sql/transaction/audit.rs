//! The audit: what operators, members and the hub itself changed, in the commit of the change.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::business::{Business, BusinessEvent};
use crate::domain::ids::{AuditId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("audit"),
        "id text, user_id text, action text, target text, detail text",
        "INSERT INTO audit (id, at, user_id, action, target, detail) \
         SELECT r.id, $2, r.user_id, r.action, r.target, r.detail FROM {rows}",
    )
});

#[derive(Serialize)]
struct AuditRow {
    id: AuditId,
    user_id: Option<UserId>,
    action: &'static str,
    target: String,
    detail: String,
}

/// An entry to be recorded.
pub(super) struct AuditEntry {
    /// Who did it; `None` for the hub itself.
    pub(super) user: Option<UserId>,
    /// A word for what was done.
    pub(super) action: &'static str,
    /// The id or name of what was changed.
    pub(super) target: String,
    /// What it came to, without a phone number or an address.
    pub(super) detail: Value,
}

impl AuditEntry {
    /// What a business is after a change of its state or its pauses, by a person or by the hub.
    pub(super) fn trading(user: Option<UserId>, after: &Business, now: Timestamp) -> Self {
        let (target, detail) = (after.id.to_string(), json!(BusinessEvent::of(after, now)));
        Self { user, action: "business.trading", target, detail }
    }
}

/// Records entries, in one statement.
pub(super) async fn record(
    connection: &mut Connection,
    entries: impl IntoIterator<Item = AuditEntry>,
    now: Timestamp,
) -> Result<(), TxError> {
    let row = |AuditEntry { user, action, target, detail }| AuditRow {
        id: AuditId::generate(),
        user_id: user,
        action,
        target,
        detail: detail.to_string(),
    };
    let rows: Vec<AuditRow> = entries.into_iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    connection.execute(&INSERT, &[Arg::rows(&rows), Arg::Int(now.as_micros())]).await.map(drop)
}
