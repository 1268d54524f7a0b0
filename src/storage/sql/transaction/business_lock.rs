//! The lock on a business that its menu, members and invitations are counted under.

use sqlx_macros::FromRow;

use crate::domain::ids::BusinessId;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

// Changes of one business's members go one after the other, or two owners could remove each other; so do additions to its
// menu, or two could both take the last place.
static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Select("businesses"), "SELECT id FROM businesses WHERE id = $1 {for_update}")
});

#[derive(FromRow)]
struct IdRow {
    #[expect(dead_code, reason = "the row is read for its lock")]
    id: String,
}

/// Locks a business, so that what is counted of it holds until the transaction ends.
pub(super) async fn lock(connection: &mut Connection, business: BusinessId) -> Result<(), TxError> {
    let _: Option<IdRow> = connection.fetch_first(&LOCK, &[Arg::text(business)]).await?;
    Ok(())
}
