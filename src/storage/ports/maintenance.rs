//! What the upkeep of a database reads: values sealed with older keys, addresses of another time.

use async_trait::async_trait;

use crate::domain::ids::UserId;
use crate::storage::command::{RowKey, SealedColumn};
use crate::storage::error::StoreError;

/// Part of a walk through the values of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedPage {
    /// Rows whose value needs an older key than the current one.
    pub outdated: Vec<RowKey>,
    /// The last row looked at, to go on below; `None` at the end.
    pub last: Option<RowKey>,
}

/// Reads of what the upkeep of a database needs.
#[async_trait]
pub trait MaintenanceReads: Send + Sync {
    /// Accounts whose addresses have something in them that those of today have not, or an encoded domain, by id, at most
    /// `limit`. Reads every account.
    async fn unusual_addresses(&self, limit: u32) -> Result<Vec<(UserId, String)>, StoreError>;
    /// Which values an older key seals among the next `limit` rows below `below`, from the last row down: a walk never
    /// runs after the rows that are written meanwhile, which come above it. Opens nothing and locks nothing.
    async fn sealed_below(
        &self,
        column: SealedColumn,
        below: Option<&RowKey>,
        limit: u32,
    ) -> Result<SealedPage, StoreError>;
}
