//! What the rooms of a business hear of its state.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;

use super::{Business, BusinessState};

/// A pause that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseView {
    /// `manual`, `unreachable`, `unanswered` or `operator`.
    pub cause: String,
    /// When it began; RFC 3339.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When it ends by itself; RFC 3339.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A business as it is after a change of its state, its pauses or its mute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BusinessEvent {
    /// The business, `biz_…`.
    #[schema(value_type = String)]
    pub business_id: BusinessId,
    /// `open`, `busy` or `closed`, beside which the pauses stand.
    pub state: String,
    /// Minutes that a busy business adds to each preparation time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_minutes: Option<u16>,
    /// Whether it takes orders now.
    pub takes_orders: bool,
    /// The pauses that hold, at most one for each cause.
    pub pauses: Vec<PauseView>,
    /// Calls and mail are silent until then; RFC 3339.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    /// Of two events the one with the larger version is the newer one.
    pub version: i64,
}

impl BusinessEvent {
    /// The state of a business at `now`.
    pub fn of(business: &Business, now: Timestamp) -> Self {
        let (state, extra_minutes) = match business.state.at(now) {
            BusinessState::Open | BusinessState::Paused { .. } => ("open", None),
            BusinessState::Busy { extra_minutes } => ("busy", Some(extra_minutes)),
            BusinessState::Closed => ("closed", None),
        };
        let view = |pause: super::Pause| PauseView {
            cause: pause.cause.as_str().to_owned(),
            since: pause.since,
            until: pause.until,
        };
        Self {
            business_id: business.id,
            state: state.to_owned(),
            extra_minutes,
            takes_orders: business.takes_orders(now).is_ok(),
            pauses: business.holding_pauses(now).map(view).collect(),
            muted_until: business.alerts.muted_until.filter(|until| now < *until),
            version: business.version,
        }
    }

    /// Whether it says the same, whatever else of the business has changed.
    pub fn says_the_same(&self, other: &Self) -> bool {
        *self == Self { version: self.version, ..other.clone() }
    }

    /// Whether its word and its pauses are the same: what it says is about something smaller, extra minutes or the mute.
    pub fn trades_the_same(&self, other: &Self) -> bool {
        (&self.state, &self.pauses) == (&other.state, &other.pauses)
    }
}
