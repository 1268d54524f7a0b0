//! The warning at the start that the database is a restored copy which nobody has released yet.

use std::sync::Arc;

use crate::storage::Store;

/// Logs that the orders of the database are held, if they are.
pub(super) async fn log_if_held(store: Arc<dyn Store>) {
    match store.held_since().await {
        Ok(Some(since)) => tracing::warn!(
            since = since.to_rfc3339(),
            "the database is a restored copy: nothing is done by itself about orders placed until then; see `bellhop release`"
        ),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "whether the database is held could not be read"),
    }
}
