//! Notifications of a business, and who has read them.

use async_trait::async_trait;

use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, NotificationId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// Reads of notifications.
#[async_trait]
pub trait NotificationReads: Send + Sync {
    /// Notifications of a business, newest first, at most `limit` older than `before`.
    async fn notifications(
        &self,
        business: BusinessId,
        before: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError>;
    /// Times at which a user read these notifications, in any order; unread ones are left out.
    async fn notification_reads(
        &self,
        user: UserId,
        notifications: &[NotificationId],
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError>;
}
