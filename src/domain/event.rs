//! What rooms hear.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{BusinessId, EventId, NotificationId};
use super::room::RoomId;
use super::time::Timestamp;

/// The kinds of events that are stored and numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// An order entered `placed`: devices ring.
    OrderCreated,
    /// An order moved, other than into `cancelled`.
    OrderUpdated,
    /// An order was cancelled.
    OrderCancelled,
    /// Somebody posted a notification.
    Notification,
}

impl EventType {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::OrderCreated, Self::OrderUpdated, Self::OrderCancelled, Self::Notification];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCreated => "order_created",
            Self::OrderUpdated => "order_updated",
            Self::OrderCancelled => "order_cancelled",
            Self::Notification => "notification",
        }
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or(UnknownEventType)
    }
}

/// A word that names no event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type")]
pub struct UnknownEventType;

/// An event on its way into a room: everything but its number, which the store gives at commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// The room that hears it.
    pub room: RoomId,
    /// Its kind.
    pub kind: EventType,
    /// When it happened.
    pub at: Timestamp,
    /// What happened; never a phone number or an address.
    pub data: serde_json::Value,
}

/// How loud a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// May wait.
    Low,
    /// Shown.
    #[default]
    Normal,
    /// Rings.
    High,
}

impl Priority {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Normal => "NORMAL",
            Self::High => "HIGH",
        }
    }
}

impl FromStr for Priority {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        [Self::Low, Self::Normal, Self::High].into_iter().find(|p| p.as_str() == text).ok_or(UnknownEventType)
    }
}

/// A notification of a business, stored and shown to its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Whose it is.
    pub business_id: BusinessId,
    /// A word that programs can act on, like `NEW_ORDER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub title: String,
    /// The text.
    pub message: String,
    /// What programs need besides.
    pub data: serde_json::Value,
    /// How loud.
    pub priority: Priority,
    /// When it was made.
    pub created_at: Timestamp,
}
