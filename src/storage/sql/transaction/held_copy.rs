//! A restored copy: held from the rotation of its epoch until an operator lets it go.

use serde_json::json;

use crate::storage::commands::SetCopyHeld;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::execute::{Context, Execute};

static HOLD: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("hub"), "UPDATE hub SET held_since = $1 WHERE id = 1")
});

static RELEASE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("hub"), "UPDATE hub SET held_since = NULL WHERE id = 1")
});

impl Execute for SetCopyHeld {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let now = cx.now;
        if self.held {
            cx.connection.execute(&HOLD, &[Arg::Int(now.as_micros())]).await?;
        } else {
            cx.connection.execute(&RELEASE, &[]).await?;
        }
        let action = if self.held { "copy.held" } else { "copy.released" };
        let entry = AuditEntry { user: None, action, target: "hub".to_owned(), detail: json!({}) };
        audit::record(cx.connection, [entry], now).await
    }
}
