//! What rooms hear.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{BusinessId, EventId, NotificationId};
use super::json::JsonObject;
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

/// The type of a stored event. One that this release does not know keeps its word, so that an older hub beside a newer one passes
/// its events on whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A type of this release.
    Known(EventType),
    /// Any other word.
    Other(Arc<str>),
}

impl EventKind {
    /// Stands for an event whose row cannot be read any more: it keeps its number, so that the room has no hole.
    pub fn unreadable() -> Self {
        Self::Other("unreadable".into())
    }

    /// The word on the wire and in the database.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.as_str(),
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for EventKind {
    fn from(word: &str) -> Self {
        word.parse().map_or_else(|_| Self::Other(word.into()), Self::Known)
    }
}

impl From<EventType> for EventKind {
    fn from(kind: EventType) -> Self {
        Self::Known(kind)
    }
}

impl PartialEq<EventType> for EventKind {
    fn eq(&self, kind: &EventType) -> bool {
        matches!(self, Self::Known(known) if known == kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    pub data: JsonObject,
    /// How loud.
    pub priority: Priority,
    /// When it was made.
    pub created_at: Timestamp,
}
