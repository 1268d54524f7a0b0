//! Outcome of a command while its transaction runs.

use std::sync::Arc;

use crate::domain::ids::{OrderId, PaymentMessageId};
use crate::storage::commands::{FireReport, Outcome, ScopedAck};

/// The outcome of a command, or its source until orders have their numbers.
pub(super) enum Answer {
    Final(Box<Outcome>),
    Placed {
        step: usize,
    },
    Moved {
        step: usize,
    },
    Changed {
        step: usize,
    },
    /// The order of the step was paid, as somebody recorded.
    Recorded {
        step: usize,
    },
    /// Whether this message was new, once it is known.
    Received {
        message: PaymentMessageId,
    },
    /// What a deadline did; the step is there when it changed the order.
    Fired {
        order: OrderId,
        report: Option<FireReport>,
        step: Option<usize>,
    },
    /// The answer that the step's order gives under this request's key.
    Replayed {
        step: usize,
        request_mac: String,
    },
    /// The outcome of these acknowledgements, once it is known how many fit into the transaction.
    Acks(Arc<[ScopedAck]>),
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self::Final(Box::new(outcome))
    }
}

impl Answer {
    /// Whether something was made: then the answer is stored under the key of the request.
    pub(super) fn has_made_something(&self) -> bool {
        match self {
            Self::Final(outcome) => outcome.has_made_something(),
            Self::Placed { .. } | Self::Recorded { .. } => true,
            Self::Moved { .. }
            | Self::Changed { .. }
            | Self::Received { .. }
            | Self::Fired { .. }
            | Self::Replayed { .. }
            | Self::Acks(_) => false,
        }
    }
}
