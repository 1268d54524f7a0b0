//! Notifications: stored messages to the members of a business.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{BusinessId, NotificationId};
use super::json::JsonObject;
use super::time::Timestamp;

/// How loud a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// Listed, without a sound.
    Low,
    /// Shown when it comes.
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
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        [Self::Low, Self::Normal, Self::High].into_iter().find(|p| p.as_str() == text).ok_or(UnknownPriority)
    }
}

/// A word that names no priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown priority")]
pub struct UnknownPriority;

/// A notification of a business, stored and shown to its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// Its id.
    #[schema(value_type = String)]
    pub id: NotificationId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub business_id: BusinessId,
    /// A word that programs can act on, like `NEW_ORDER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub title: String,
    /// The text.
    pub message: String,
    /// More for programs.
    #[schema(value_type = Object)]
    pub data: JsonObject,
    /// How loud it is shown.
    pub priority: Priority,
    /// When it was made; RFC 3339.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
}
