//! Invitations that wait for an answer.

use sqlx_macros::FromRow;

use crate::domain::business::MAX_INVITATIONS_OF_USER;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::Invitation;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Statement};
use crate::storage::sql::store::SqlStore;

static OF_USER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT i.id, i.business_id, b.name AS business_name, i.role, i.created_at, i.expires_at \
         FROM invitations i JOIN businesses b ON b.id = i.business_id \
         WHERE i.user_id = $1 AND i.state = 'pending' AND i.expires_at > $2 ORDER BY i.id DESC LIMIT $3",
    )
});

#[derive(FromRow)]
struct InvitationRow {
    id: String,
    business_id: String,
    business_name: String,
    role: String,
    created_at: i64,
    expires_at: i64,
}

pub(in crate::storage) async fn of_user(
    store: &SqlStore,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Invitation>, StoreError> {
    let args = [Arg::text(user), Arg::Int(now.as_micros()), Arg::Int(MAX_INVITATIONS_OF_USER.into())];
    let rows: Vec<InvitationRow> = store.fetch(&OF_USER, &args).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Invitation {
                id: parse("invitations.id", &row.id)?,
                business: parse("invitations.business_id", &row.business_id)?,
                business_name: row.business_name,
                role: parse("invitations.role", &row.role)?,
                created_at: Timestamp::from_micros(row.created_at),
                expires_at: Timestamp::from_micros(row.expires_at),
            })
        })
        .collect()
}
