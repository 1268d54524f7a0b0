//! Stored responses: what a request with an idempotency key was answered the first time.

use async_trait::async_trait;

use crate::storage::command::KeptAnswer;
use crate::storage::error::StoreError;

/// Reads of stored responses.
#[async_trait]
pub trait IdempotencyReads: Send + Sync {
    /// The first answer under an idempotency key.
    async fn kept_answer(&self, scope: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError>;
}
