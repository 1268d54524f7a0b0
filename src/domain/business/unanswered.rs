//! When orders without an answer pause a business, and what ends the count.

use std::collections::BTreeSet;

use crate::domain::ids::UserId;
use crate::domain::order::{Order, Party, Status};
use crate::domain::saga::AlertRule;
use crate::domain::time::Timestamp;

use super::Timezone;
use super::alert_policy::AlertPolicy;
use super::pause::{Pause, PauseCause};

/// While this many more customers have waited longer than the alert takes to escalate, one order that runs out is enough.
const MORE_WAITING: usize = 2;

impl AlertPolicy {
    /// Counts an order of `customer` that ran out, and tells whether the business is to be paused: as many customers in a row as
    /// `limit` got no answer, or this one did not while two more wait. `waiting` are the customers of other orders of the
    /// business that count and have waited longer than the alert takes to escalate. Customers count once, however many orders they
    /// have. A pause begins the count anew; with a `limit` of 0 there is none.
    pub fn ran_out(&mut self, customer: UserId, waiting: &[UserId], limit: u32) -> bool {
        if limit == 0 {
            return false;
        }
        if !self.unanswered.contains(&customer) {
            self.unanswered.push(customer);
        }
        let others: BTreeSet<&UserId> = waiting.iter().filter(|other| **other != customer).collect();
        let in_a_row = self.unanswered.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let pauses = in_a_row || others.len() >= MORE_WAITING;
        if pauses {
            self.unanswered.clear();
        }
        pauses
    }

    /// Takes note of a transition of `order` out of `from` by `party`: the answer of a member begins the count anew. Orders that
    /// members placed and those of guests at a table count neither way. Tells whether anything changed.
    pub fn answered(&mut self, order: &Order, from: Status, party: Party) -> bool {
        let answer = from == Status::Placed && matches!(order.status, Status::Accepted | Status::Rejected);
        let resets = answer && party == Party::Member && AlertRule::of(order) == AlertRule::Full;
        let changes = resets && !self.unanswered.is_empty();
        if changes {
            self.unanswered.clear();
        }
        changes
    }
}

impl Pause {
    /// The pause of a business that did not answer: until six in the morning, where it is.
    pub fn unanswered(now: Timestamp, timezone: &Timezone) -> Self {
        Self { cause: PauseCause::Unanswered, since: now, until: Some(timezone.next_morning(now)) }
    }
}

#[cfg(test)]
mod tests;
