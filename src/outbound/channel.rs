//! The port of a channel to the outside.

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, IntentId, OrderId};
use crate::domain::saga::Rung;

/// A word to a business that orders wait for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCall {
    /// The key by which the other side knows a call that is repeated.
    pub id: IntentId,
    /// The business that is called.
    pub business: BusinessId,
    /// The order that has reached the rung.
    pub order: OrderId,
    /// The rung.
    pub rung: Rung,
    /// Orders of the business that wait, this one among them.
    pub waiting: u32,
}

/// Why a call was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The other side was away or busy, or nobody knows: worth trying again, with the same key.
    #[error("the channel is not available: {0}")]
    Unavailable(String),
    /// The other side refuses it, and would again.
    #[error("the channel refused: {0}")]
    Refused(String),
}

/// A way to the outside. Implementations may be asked twice for one call and must pass its id on as an idempotency key; they end
/// within the time the caller gives them, and are dropped after it.
#[async_trait]
pub trait OutboundChannel: Send + Sync + 'static {
    /// Makes a call; `Ok` when the other side has taken it.
    async fn call(&self, call: &AlertCall) -> Result<(), CallError>;
}
