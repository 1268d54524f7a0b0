//! Stored responses of requests with an idempotency key.

use async_trait::async_trait;

use crate::storage::commands::StoredResponse;
use crate::storage::error::StoreError;
use crate::storage::ports::IdempotencyReads;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;
use crate::storage::sql::transaction::{RESPONSE_TTL, ResponseRow};

static KEPT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("idempotency_keys"),
        "SELECT scope, key, request_mac, status, body FROM idempotency_keys \
         WHERE scope = $1 AND key = $2 AND created_at > $3",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&KEPT];

#[async_trait]
impl IdempotencyReads for SqlStore {
    async fn stored_response(&self, scope: &str, key: &str) -> Result<Option<StoredResponse>, StoreError> {
        let oldest = self.clock.now().minus(RESPONSE_TTL);
        let args = [Arg::text(scope), Arg::text(key), Arg::Int(oldest.as_micros())];
        match self.fetch_first::<ResponseRow>(&KEPT, &args).await? {
            Some(row) => row.into_response(&self.cipher),
            None => Ok(None),
        }
    }
}
