//! The items of orders that have been read.

use crate::domain::order::Order;
use crate::storage::error::StoreError;
use crate::storage::sql::rows::{OrderRow, assemble};
use crate::storage::sql::statement::Arg;
use crate::storage::sql::store::SqlStore;
use crate::storage::sql::transaction::ITEMS_OF_ORDERS;

/// The orders of `rows`, in their order, each with its items.
pub(super) async fn with_lines(store: &SqlStore, rows: Vec<OrderRow>) -> Result<Vec<Order>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Arg::texts(rows.iter().map(|row| &row.id));
    let lines = store.fetch(&ITEMS_OF_ORDERS, &[ids]).await?;
    assemble(rows, lines, &store.cipher)
}
