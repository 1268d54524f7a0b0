//! Notifications, and events of rooms.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::event::{EventKind, Notification};
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::{EventData, RoomEvent};
use crate::storage::error::StoreError;

use super::values::{corrupt, cursor, parse};

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage::sql) struct NotificationRow {
    pub(in crate::storage::sql) id: String,
    business_id: String,
    kind: String,
    title: String,
    message: String,
    data: String,
    priority: String,
    created_at: i64,
}

impl NotificationRow {
    pub(in crate::storage::sql) fn of(notification: &Notification) -> Self {
        Self {
            id: notification.id.to_string(),
            business_id: notification.business_id.to_string(),
            kind: notification.kind.clone(),
            title: notification.title.clone(),
            message: notification.message.clone(),
            data: notification.data.to_string(),
            priority: notification.priority.as_str().to_owned(),
            created_at: notification.created_at.as_micros(),
        }
    }

    pub(in crate::storage::sql) fn into_notification(self) -> Result<Notification, StoreError> {
        Ok(Notification {
            id: parse("notifications.id", &self.id)?,
            business_id: parse("notifications.business_id", &self.business_id)?,
            kind: self.kind,
            title: self.title,
            message: self.message,
            data: parse("notifications.data", &self.data)?,
            priority: parse("notifications.priority", &self.priority)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage::sql) struct RoomEventRow {
    pub(in crate::storage::sql) room: String,
    pub(in crate::storage::sql) epoch: i64,
    pub(in crate::storage::sql) seq: i64,
    pub(in crate::storage::sql) id: String,
    pub(in crate::storage::sql) kind: String,
    pub(in crate::storage::sql) at: i64,
    pub(in crate::storage::sql) data: String,
    pub(in crate::storage::sql) order_id: Option<String>,
}

impl RoomEventRow {
    /// The event. One that cannot be read any more keeps its number under another type, so that the room has no hole and whoever
    /// reads it is not stopped by it; the error is for the log.
    pub(in crate::storage::sql) fn into_event(
        self,
        room: RoomId,
    ) -> Result<(RoomEvent, Option<StoreError>), StoreError> {
        let (cursor, at) = (cursor(self.epoch, self.seq)?, Timestamp::from_micros(self.at));
        let read = parse("room_events.id", &self.id).and_then(|id| {
            let data = EventData::stored(self.data).map_err(|_| corrupt("room_events.data"))?;
            Ok((id, self.kind.as_str().into(), data))
        });
        let (id, kind, data, error) = match read {
            Ok((id, kind, data)) => (id, kind, data, None),
            Err(error) => {
                let id = EventId::from_uuid(uuid::Uuid::nil());
                (id, EventKind::unreadable(), EventData::empty(), Some(error))
            }
        };
        Ok((RoomEvent { room, cursor, id, kind, at, data }, error))
    }
}
