//! Holds, which operators set and lift.

use crate::domain::hold::{HeldAction, HoldScope};
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

/// Holds something, or lifts that; a hold of the same action and scope is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHold {
    /// What is held.
    pub what: HeldAction,
    /// Where.
    pub scope: HoldScope,
    /// Until when; `None` lifts it.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub reason: String,
    /// The operator.
    pub user: UserId,
}
