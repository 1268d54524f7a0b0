//! Accounts that operators close and open again, and the login sessions that end with that.

use serde_json::json;
use sqlx_macros::FromRow;

use crate::domain::control::ControlChange;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::commands::{EndSessions, MAX_ENDED_SESSIONS, RestoreUser, UserChange};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::execute::{Context, Execute};

static SUSPEND: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("users"),
        "UPDATE users SET suspended_at = COALESCE(suspended_at, $2) WHERE id = $1",
    )
});

static RESTORE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("users"), "UPDATE users SET suspended_at = NULL WHERE id = $1")
});

static EXISTS: LazyStatement =
    LazyStatement::new(|| Statement::new(Operation::Select("users"), "SELECT id FROM users WHERE id = $1"));

static END_SESSIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("sessions"),
        "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL RETURNING id",
    )
});

#[derive(FromRow)]
struct IdRow {
    id: String,
}

/// Suspends an account and ends its login sessions; `None` when there is no such account.
pub(super) async fn suspend(
    connection: &mut Connection,
    user: UserId,
    now: Timestamp,
    at: Timestamp,
) -> Result<Option<Vec<LoginSessionId>>, TxError> {
    let args = [Arg::text(user), Arg::Int(now.as_micros())];
    if connection.execute(&SUSPEND, &args).await? == 0 {
        return Ok(None);
    }
    Ok(Some(end_sessions(connection, user, at).await?))
}

async fn end_sessions(
    connection: &mut Connection,
    user: UserId,
    at: Timestamp,
) -> Result<Vec<LoginSessionId>, TxError> {
    let args = [Arg::text(user), Arg::Int(at.as_micros())];
    let ended: Vec<IdRow> = connection.fetch(&END_SESSIONS, &args).await?;
    let ids = ended.iter().take(MAX_ENDED_SESSIONS).map(|row| parse("sessions.id", &row.id));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// What an operator did to an account, for the audit.
pub(super) fn entry(by: UserId, action: &'static str, user: UserId) -> AuditEntry {
    AuditEntry { user: Some(by), action, target: user.to_string(), detail: json!({}) }
}

impl Execute for RestoreUser {
    type Output = UserChange;

    async fn execute(&self, cx: Context<'_>) -> Result<UserChange, TxError> {
        let Self { user, by } = *self;
        if cx.connection.execute(&RESTORE, &[Arg::text(user)]).await? == 0 {
            return Ok(UserChange::NotThere);
        }
        cx.control.push(ControlChange::AccountChanged(user));
        audit::record(cx.connection, [entry(by, "user.restored", user)], cx.now).await?;
        Ok(UserChange::Made)
    }
}

impl Execute for EndSessions {
    type Output = Option<Vec<LoginSessionId>>;

    async fn execute(&self, cx: Context<'_>) -> Result<Option<Vec<LoginSessionId>>, TxError> {
        let Self { user, by } = *self;
        let found: Option<IdRow> = cx.connection.fetch_first(&EXISTS, &[Arg::text(user)]).await?;
        if found.is_none() {
            return Ok(None);
        }
        let ended = end_sessions(cx.connection, user, cx.at).await?;
        cx.control.extend(ended.iter().copied().map(ControlChange::SessionEnded));
        audit::record(cx.connection, [entry(by, "user.sessions_ended", user)], cx.now).await?;
        Ok(Some(ended))
    }
}
