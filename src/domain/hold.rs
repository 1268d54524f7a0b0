//! Holds: something that the hub does by itself is stopped for a while by an operator.

use std::fmt;
use std::str::FromStr;

use super::ids::BusinessId;
use super::string_enum::string_enum;
use super::time::Timestamp;

string_enum! {
    /// The things that can be held.
    pub enum HeldAction {
        /// Orders are refused.
        NewOrders = "new_orders",
        /// No business is paused by machine.
        AutoPause = "auto_pause",
        /// No order is cancelled by a deadline.
        AutoCancel = "auto_cancel",
        /// No driver is searched.
        Dispatch = "dispatch",
        /// No refund is sent.
        Refunds = "refunds",
    }
}

/// The part of the hub that a hold is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HoldScope {
    /// Every business: `all`.
    All,
    /// The businesses of a zone: `zone:<name>`.
    Zone(String),
    /// One business: its id.
    Business(BusinessId),
}

impl HoldScope {
    /// Whether it covers a business of this zone.
    pub fn covers(&self, business: BusinessId, zone: &str) -> bool {
        match self {
            Self::All => true,
            Self::Zone(name) => name == zone,
            Self::Business(id) => *id == business,
        }
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Zone(name) => write!(f, "zone:{name}"),
            Self::Business(id) => write!(f, "{id}"),
        }
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected all, zone:<name> or the id of a business")]
pub struct HoldScopeError;

impl FromStr for HoldScope {
    type Err = HoldScopeError;

    fn from_str(text: &str) -> Result<Self, HoldScopeError> {
        match text.strip_prefix("zone:") {
            Some(name) if !name.is_empty() => Ok(Self::Zone(name.to_owned())),
            Some(_) => Err(HoldScopeError),
            None if text == "all" => Ok(Self::All),
            None => text.parse().map(Self::Business).map_err(|_| HoldScopeError),
        }
    }
}

/// A hold; it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub what: HeldAction,
    /// The businesses it is for.
    pub scope: HoldScope,
    /// The time at which it ends.
    pub until: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Whether one of `holds` stops `what` for a business of this zone at `now`.
pub fn is_held(holds: &[Hold], what: HeldAction, business: BusinessId, zone: &str, now: Timestamp) -> bool {
    holds.iter().any(|hold| hold.what == what && now < hold.until && hold.scope.covers(business, zone))
}
