//! Stored responses: what a request with an idempotency key was answered the first time.

use async_trait::async_trait;

use crate::storage::commands::StoredResponse;
use crate::storage::error::StoreError;

/// Reads of stored responses.
#[async_trait]
pub trait IdempotencyReads: Send + Sync {
    /// Stored response under an idempotency key; `None` after its time has run out.
    async fn stored_response(&self, scope: &str, key: &str) -> Result<Option<StoredResponse>, StoreError>;
}
