//! The audit: what operators and members changed, in the commit of the change.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use serde_json::Value;

use crate::domain::ids::{AuditId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("audit"),
        "INSERT INTO audit (id, at, user_id, action, target, detail) VALUES ($1, $2, $3, $4, $5, $6)",
    )
});

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

/// Records an entry.
pub(super) async fn record(
    connection: &mut Connection,
    entry: AuditEntry,
    now: Timestamp,
) -> Result<(), TxError> {
    let AuditEntry { user, action, target, detail } = entry;
    let args = [
        Arg::text(AuditId::generate()),
        Arg::Int(now.as_micros()),
        Arg::OptText(user.map(|user| user.to_string())),
        Arg::text(action),
        Arg::Text(target),
        Arg::text(detail),
    ];
    connection.execute(&INSERT, &args).await.map(drop)
}
