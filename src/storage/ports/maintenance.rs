//! Reads for maintenance: values sealed with older keys, addresses that today's rules would store otherwise.

use async_trait::async_trait;

use crate::domain::ids::UserId;
use crate::storage::commands::{RowKey, SealedColumn};
use crate::storage::error::StoreError;

/// Page of a walk through the sealed values of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedPage {
    /// Rows whose value is sealed with another key than the current one.
    pub outdated: Vec<RowKey>,
    /// Last row read, to go on below; `None` at the end.
    pub last: Option<RowKey>,
}

/// Reads for maintenance.
#[async_trait]
pub trait MaintenanceReads: Send + Sync {
    /// Accounts with a character in the address that new addresses cannot have, or with an encoded domain, by id, at most
    /// `limit`. Reads every account.
    async fn unusual_addresses(&self, limit: u32) -> Result<Vec<(UserId, String)>, StoreError>;
    /// Values sealed with older keys among the next `limit` rows below `below`, from the last row down, so that a walk ends:
    /// rows written meanwhile come above it. Opens nothing and locks nothing.
    async fn sealed_below(
        &self,
        column: SealedColumn,
        below: Option<&RowKey>,
        limit: u32,
    ) -> Result<SealedPage, StoreError>;
}
