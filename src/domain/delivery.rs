//! Who brings deliveries, and how far one is.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who brings the deliveries of a business, or one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveredBy {
    /// The business itself: its members say how far a delivery is.
    #[default]
    Business,
    /// Drivers of the hub: only they and operators do.
    Drivers,
}

impl DeliveredBy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Business, Self::Drivers];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Drivers => "drivers",
        }
    }
}

impl FromStr for DeliveredBy {
    type Err = UnknownDeliverer;

    fn from_str(text: &str) -> Result<Self, UnknownDeliverer> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or(UnknownDeliverer)
    }
}

/// A word that names nobody who delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected business or drivers")]
pub struct UnknownDeliverer;

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Nobody has it yet.
    Unassigned,
    /// On its way to the customer.
    PickedUp,
    /// With the customer.
    Delivered,
    /// It did not reach the customer.
    Failed,
    /// The order ended before it was picked up.
    Cancelled,
}

impl DeliveryStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "unassigned",
            Self::PickedUp => "picked_up",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
