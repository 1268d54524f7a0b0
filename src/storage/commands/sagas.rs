//! What the hub does to orders by itself: deadlines that are fired, and the use of channels to the outside.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BusinessId, IntentId, OrderId, UserId};
use crate::domain::order::{Order, Status};
use crate::domain::saga::{DeadlineKind, Ring, Rung};
use crate::domain::time::Timestamp;

/// Does what is due in the life of an order, if its saga was not written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FireDeadline {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at; its writes go one after another.
    pub business: BusinessId,
    /// The attempt of the saga's row at which something was seen to be due.
    pub attempt: i64,
}

/// The outcome of firing a deadline.
#[derive(Clone, Debug)]
pub struct FireOutcome {
    /// What was done; `None`: nothing, because it is not due yet, or the row was written since.
    pub report: Option<FireReport>,
    /// The order, if anything of it changed: its status, or a time of it.
    pub moved: Option<Box<Order>>,
    /// The saga's row as the commit leaves it; `None`: there is none, or a newer release wrote it, or the outcome was read back
    /// after a COMMIT without an answer.
    pub left: Option<SagaDue>,
    /// The store's time of the commit.
    pub now: Timestamp,
}

/// What a fired deadline did, besides what it did to the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireReport {
    /// The kind of what was due first.
    pub kind: DeadlineKind,
    /// When it was due.
    #[serde(with = "crate::domain::time::micros")]
    pub due_at: Timestamp,
    /// When it was done, by the store's time.
    #[serde(with = "crate::domain::time::micros")]
    pub fired_at: Timestamp,
    /// The rungs that were taken, rings among them.
    pub rungs: Vec<Rung>,
    /// The status that the order was moved from, if it was moved.
    pub moved_from: Option<Status>,
    /// What the order's end says about its business.
    pub answer: AnswerState,
}

/// Whether a deadline ended the wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// The wait goes on, or had ended before.
    Open,
    /// Nobody answered in time.
    Unanswered,
    /// Nobody answered in time, and the business is paused for it.
    Paused,
}

/// The saga of an order after a commit that wrote or looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SagaDue {
    /// The order.
    pub order: OrderId,
    /// Its business.
    pub business: BusinessId,
    /// The attempt to name when it is fired.
    pub attempt: i64,
    /// The next time at which something is to happen; `None`: nothing by itself.
    pub due_at: Option<Timestamp>,
}

/// A ring that follows a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingDue {
    /// The business whose devices ring.
    pub business: BusinessId,
    /// The driver whose devices ring instead.
    pub driver: Option<UserId>,
    /// The order.
    pub order: OrderId,
    /// Its number.
    pub order_number: u32,
    /// The ring.
    pub ring: Ring,
}

/// A node is about to use a channel: others leave the intent alone until then. Not when another node has begun it, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginIntent {
    /// The intent.
    pub intent: IntentId,
    /// When it was due, as it was read.
    pub due_at: Timestamp,
    /// When it is due again if nothing is said of it.
    pub until: Timestamp,
}

/// Stores what came of a use of a channel. One that has ended stays as it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishIntent {
    /// The intent.
    pub intent: IntentId,
    /// What came of it.
    pub result: IntentResult,
}

/// The result of using a channel once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentResult {
    /// The channel took it.
    Sent,
    /// No such channel is configured.
    NotConfigured,
    /// It was too late, or the channel refuses it for good.
    Failed,
    /// It had become needless before it was used: somebody has answered, or a device has the order.
    Cancelled,
    /// It did not work; it is tried again then.
    Retry(Timestamp),
}

impl IntentResult {
    /// The state of the intent in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotConfigured => "not_configured",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retry(_) => "due",
        }
    }
}
