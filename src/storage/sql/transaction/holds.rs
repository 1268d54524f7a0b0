//! Holds: set and lifted by operators, with an entry of the audit.

use serde_json::json;
use sqlx_macros::FromRow;

use crate::domain::hold::HoldScope;
use crate::domain::time::Timestamp;
use crate::storage::commands::SetHold;
use crate::storage::sql::connection::Connection;
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

static IN_ZONES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("holds"),
        "SELECT h.scope FROM holds h WHERE h.scope IN ($1, $2) AND h.until > $3 LIMIT 1",
    )
});

#[derive(FromRow)]
struct ScopeRow {
    #[expect(dead_code, reason = "it is asked whether there is a row")]
    scope: String,
}

/// Whether operators hold anything in one of these zones.
pub(super) async fn is_any_in(
    connection: &mut Connection,
    zones: [&str; 2],
    now: Timestamp,
) -> Result<bool, TxError> {
    let [one, other] = zones.map(|zone| Arg::text(HoldScope::Zone(zone.to_owned())));
    let row: Option<ScopeRow> =
        connection.fetch_first(&IN_ZONES, &[one, other, Arg::Int(now.as_micros())]).await?;
    Ok(row.is_some())
}

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
        audit::record(cx.connection, [entry], now).await
    }
}
