//! Outcome of a command while its transaction runs.

use std::sync::Arc;

use crate::domain::ids::OrderId;
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
