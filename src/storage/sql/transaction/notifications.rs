//! Notifications that users have read.

use sqlx_macros::FromRow;

use crate::domain::time::Timestamp;
use crate::storage::commands::ReadNotification;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

static READ_NOTIFICATION: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("notification_reads"),
        "INSERT INTO notification_reads (notification_id, user_id, at) \
         SELECT n.id, $2, $3 FROM notifications n WHERE n.id = $1 AND n.business_id = $4 \
         ON CONFLICT (notification_id, user_id) DO NOTHING",
    )
});

static READ_AT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("notification_reads"),
        "SELECT r.at FROM notification_reads r JOIN notifications n ON n.id = r.notification_id \
         WHERE r.notification_id = $1 AND r.user_id = $2 AND n.business_id = $3",
    )
});

#[derive(FromRow)]
struct ReadAtRow {
    at: i64,
}

impl Execute for ReadNotification {
    type Output = Option<Timestamp>;

    /// Stores that `user` has read the notification, unless they had before.
    async fn execute(&self, cx: Context<'_>) -> Result<Option<Timestamp>, TxError> {
        let Self { business, notification, user } = *self;
        let args =
            [Arg::text(notification), Arg::text(user), Arg::Int(cx.now.as_micros()), Arg::text(business)];
        cx.connection.execute(&READ_NOTIFICATION, &args).await?;
        let args = [Arg::text(notification), Arg::text(user), Arg::text(business)];
        let read: Option<ReadAtRow> = cx.connection.fetch_first(&READ_AT, &args).await?;
        Ok(read.map(|row| Timestamp::from_micros(row.at)))
    }
}
