//! Notifications: stored messages to the members of a business.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{BusinessId, NotificationId};
use super::json::JsonObject;
use super::string_enum::string_enum;
use super::time::Timestamp;

string_enum! {
    /// The loudness of a notification.
    #[derive(Default, ToSchema)]
    pub enum Priority {
        /// Listed without a sound.
        Low = "LOW",
        /// Shown when it arrives.
        #[default]
        Normal = "NORMAL",
        /// Devices ring for it.
        High = "HIGH",
    }
}

/// A notification to the operators of the hub. It is an event of their room and in no list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpsNotification {
    /// An id that begins with `ntf_`.
    #[schema(value_type = String)]
    pub id: NotificationId,
    /// The business it is about, if it is about one.
    #[schema(value_type = Option<String>)]
    pub business_id: Option<BusinessId>,
    /// A word that programs can act on, like `BUSINESS_PAUSED`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line of text.
    pub title: String,
    /// Text that may have several lines.
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

/// A notification of a business, stored and shown to its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// An id that begins with `ntf_`.
    #[schema(value_type = String)]
    pub id: NotificationId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub business_id: BusinessId,
    /// A word that programs can act on, like `NEW_ORDER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line of text.
    pub title: String,
    /// Text that may have several lines.
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
