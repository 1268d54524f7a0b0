//! Holds.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::hold::Hold;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{HoldReads, StoredHold};
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

// Every one there is, in the order of its key: operators set a handful.
static HOLDS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("holds"),
        "SELECT what, scope, until, reason, user_id, created_at FROM holds WHERE until > $1 ORDER BY what, scope",
    )
});

#[derive(FromRow)]
struct HoldRow {
    what: String,
    scope: String,
    until: i64,
    reason: String,
    user_id: String,
    created_at: i64,
}

#[async_trait]
impl HoldReads for SqlStore {
    async fn holds(&self, now: Timestamp) -> Result<Vec<StoredHold>, StoreError> {
        let rows: Vec<HoldRow> = self.fetch(&HOLDS, &[Arg::Int(now.as_micros())]).await?;
        let known = rows.into_iter().filter_map(|row| {
            let hold = Hold {
                what: row.what.parse().ok()?,
                scope: row.scope.parse().ok()?,
                until: Timestamp::from_micros(row.until),
                reason: row.reason.clone(),
            };
            Some((row, hold))
        });
        known
            .map(|(row, hold)| {
                let user = parse("holds.user_id", &row.user_id)?;
                Ok(StoredHold { hold, user, created_at: Timestamp::from_micros(row.created_at) })
            })
            .collect()
    }
}
