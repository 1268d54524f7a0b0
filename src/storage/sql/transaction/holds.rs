//! Holds: set and lifted by operators, with an entry of the audit.

use serde_json::json;

use crate::storage::commands::SetHold;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::execute::{Context, Execute};

static SET: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("holds"),
        "INSERT INTO holds (what, scope, until, reason, user_id, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (what, scope) DO UPDATE SET until = excluded.until, reason = excluded.reason, \
             user_id = excluded.user_id, created_at = excluded.created_at",
    )
});

static LIFT: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Delete("holds"), "DELETE FROM holds WHERE what = $1 AND scope = $2")
});

impl Execute for SetHold {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let Self { what, scope, until, reason, user } = self;
        let now = cx.now;
        let key = [Arg::text(what), Arg::text(scope)];
        match until {
            Some(until) => {
                let rest = [
                    Arg::Int(until.as_micros()),
                    Arg::text(reason),
                    Arg::text(user),
                    Arg::Int(now.as_micros()),
                ];
                cx.connection.execute(&SET, &[key.as_slice(), &rest].concat()).await?;
            }
            None => drop(cx.connection.execute(&LIFT, &key).await?),
        }
        let entry = AuditEntry {
            user: Some(*user),
            action: if until.is_some() { "hold.set" } else { "hold.lifted" },
            target: scope.to_string(),
            detail: json!({ "what": what, "until": until, "reason": reason }),
        };
        audit::record(cx.connection, entry, now).await
    }
}
