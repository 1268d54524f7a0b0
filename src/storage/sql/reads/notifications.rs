//! Notifications of a business, and who has read them.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, NotificationId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::NotificationReads;
use crate::storage::sql::rows::{NotificationRow, parse, report_unreadable};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

static NOTIFICATIONS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("notifications"), // No id is greater than a tilde.
        "SELECT id, business_id, kind, title, message, data, priority, created_at FROM notifications \
         WHERE business_id = $1 AND id < COALESCE($2, '~') ORDER BY id DESC LIMIT $3",
    )
});

static READS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("notification_reads"),
        "SELECT notification_id, at FROM notification_reads WHERE notification_id = {any} AND user_id = $2",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&NOTIFICATIONS, &READS];

#[derive(FromRow)]
struct ReadRow {
    notification_id: String,
    at: i64,
}

#[async_trait]
impl NotificationReads for SqlStore {
    async fn notifications(
        &self,
        business: BusinessId,
        before: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError> {
        let before = Arg::OptText(before.map(|id| id.to_string()));
        let args = [Arg::text(business), before, Arg::Int(limit.into())];
        let rows: Vec<NotificationRow> = self.fetch(&NOTIFICATIONS, &args).await?;
        let read = |row: NotificationRow| {
            let id = row.id.clone();
            let read = row.into_notification();
            read.map_err(|error| report_unreadable(&self.metrics, "notifications", &id, &error)).ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn notification_reads(
        &self,
        user: UserId,
        notifications: &[NotificationId],
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError> {
        if notifications.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ReadRow> = self.fetch(&READS, &[Arg::texts(notifications), Arg::text(user)]).await?;
        rows.into_iter()
            .map(|row| {
                let id = parse("notification_reads.notification_id", &row.notification_id)?;
                Ok((id, Timestamp::from_micros(row.at)))
            })
            .collect()
    }
}
