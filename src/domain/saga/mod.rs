//! The life of an order by itself: what the hub does to it when a time has come. Pure: the store keeps the state in the commit
//! of each change, and fires it when it is due.

mod alert;
mod attention;
mod clocks;
mod facts;
mod progress;
mod terms;
mod words;

use serde::{Deserialize, Serialize};

use crate::domain::order::{Order, Party, Status};
use crate::domain::time::Timestamp;

pub use alert::{AlertRule, OrderAlert};
pub use attention::Attention;
pub use clocks::Clocks;
pub use facts::{Facts, Grace, Ring, SagaEffect, Unanswered};
pub use progress::Progress;
pub use terms::SagaTerms;
pub use words::{Channel, DeadlineKind, OpsAlarm, RingKind, Rung};

/// What waits for a time in the life of one order. It is read back from its JSON; a state that cannot be read is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSaga {
    /// There while the order waits for its payment: when that has to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unpaid_at: Option<Timestamp>,
    /// There while the order waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert: Option<OrderAlert>,
    /// There while devices ring until somebody has looked at the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
    /// There while the order has been answered and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

impl OrderSaga {
    /// The saga of an order that was just placed.
    pub fn begin(order: &mut Order, terms: SagaTerms, clocks: &Clocks, now: Timestamp) -> Self {
        let mut saga = Self::default();
        saga.enter(order, terms, clocks, now);
        order.deadline_at = saga.acts_at(order);
        saga
    }

    /// Notes a transition of the order out of `from` by `party`, which the order shows already.
    pub fn moved(
        &mut self,
        order: &mut Order,
        from: Status,
        party: Party,
        terms: SagaTerms,
        clocks: &Clocks,
        now: Timestamp,
    ) {
        (self.unpaid_at, self.alert, self.progress) = (None, None, None);
        let answered = !matches!(from, Status::PendingPayment | Status::Placed);
        if party == Party::Member {
            self.attention = None;
        } else if order.status.is_end() && answered && order.status == Status::Cancelled {
            self.attention = Some(Attention::new(RingKind::Cancelled, clocks, now));
        } else if order.status.is_end() {
            self.attention = None;
        }
        if party == Party::System && order.status == Status::Accepted {
            self.attention = Some(Attention::new(RingKind::Placed, clocks, now));
        }
        self.enter(order, terms, clocks, now);
        order.deadline_at = self.acts_at(order);
    }

    /// Notes that `party` changed the order without moving it: devices ring if it was not the business, and the time by which it
    /// is to be ready may be another one.
    pub fn changed(&mut self, order: &Order, party: Party, clocks: &Clocks, now: Timestamp) {
        if let Some(progress) = &mut self.progress {
            progress.ready_by(order, clocks);
        }
        if party != Party::Member && self.progress.is_some() {
            self.attention = Some(Attention::new(RingKind::Changed, clocks, now));
        }
    }

    /// The next time at which something is to happen; `None`: nothing by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        [
            self.unpaid_at,
            self.alert.as_ref().map(OrderAlert::next_due),
            self.attention.as_ref().map(Attention::next_due),
            self.progress.as_ref().and_then(Progress::next_due),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The kind of what is due next, for metrics.
    pub fn next_kind(&self) -> Option<DeadlineKind> {
        let due = self.next_due()?;
        let alert = self.alert.as_ref();
        Some(if self.unpaid_at == Some(due) {
            DeadlineKind::Unpaid
        } else if alert.is_some_and(|alert| alert.ends_at() == Some(due)) {
            DeadlineKind::Accept
        } else if alert.is_some_and(|alert| alert.next_due() == due)
            || self.attention.as_ref().is_some_and(|attention| attention.next_due() == due)
        {
            DeadlineKind::Alert
        } else if self.progress.as_ref().is_some_and(|progress| progress.ends_at() == Some(due)) {
            DeadlineKind::Forgotten
        } else {
            DeadlineKind::Progress
        })
    }

    /// Whether the first acknowledgement of a device is to accept the order.
    pub fn accepts_by_itself(&self) -> bool {
        self.alert.as_ref().is_some_and(|alert| alert.auto_accept)
    }

    /// When the hub will act on the present status by itself.
    fn acts_at(&self, _: &Order) -> Option<Timestamp> {
        self.unpaid_at
            .or_else(|| self.alert.as_ref().and_then(OrderAlert::ends_at))
            .or_else(|| self.progress.as_ref().and_then(Progress::ends_at))
    }

    fn enter(&mut self, order: &mut Order, terms: SagaTerms, clocks: &Clocks, now: Timestamp) {
        match order.status {
            Status::PendingPayment => self.unpaid_at = Some(order.created_at.plus(clocks.unpaid)),
            Status::Placed => {
                order.placed_at = Some(now);
                self.alert = Some(OrderAlert::new(AlertRule::of(order), terms, clocks, now));
            }
            Status::Accepted | Status::Preparing | Status::Ready | Status::PickedUp => {
                order.answered_at.get_or_insert(now);
                self.progress = Some(Progress::new(order, clocks, now));
            }
            Status::Rejected => {
                order.answered_at.get_or_insert(now);
            }
            Status::Delivered | Status::Cancelled | Status::Failed => {}
        }
    }

    /// Does everything that is due at `now`, on the order too, and tells what follows. A deadline that could not act stays due
    /// later; after it [`OrderSaga::next_due`] lies after `now`.
    pub fn fire(&mut self, order: &mut Order, facts: &Facts<'_>) -> Vec<SagaEffect> {
        let mut effects = Vec::new();
        if *self == Self::default() && !order.status.is_end() {
            // Of a release that kept no saga.
            let (placed_at, answered_at) = (order.placed_at, order.answered_at);
            self.enter(order, facts.saga_terms, facts.clocks, facts.now);
            (order.placed_at, order.answered_at) = (placed_at.or(order.placed_at), answered_at);
        }
        self.fire_unpaid(order, facts, &mut effects);
        self.fire_alert(order, facts, &mut effects);
        self.fire_attention(facts, &mut effects);
        self.fire_progress(order, facts, &mut effects);
        order.deadline_at = self.acts_at(order);
        effects
    }

    fn fire_unpaid(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(due) = self.unpaid_at.filter(|due| *due <= facts.now) else { return };
        if let Some(later) = facts.postponed(due, order.created_at) {
            self.unpaid_at = Some(later);
            return;
        }
        self.end(order, Status::Cancelled, facts, effects);
    }

    fn fire_alert(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(alert) = &mut self.alert else { return };
        if alert.auto_accept && facts.delivered {
            self.end(order, Status::Accepted, facts, effects);
            return;
        }
        let ended = alert.fire(facts, effects);
        let counts = alert.counts();
        if ended {
            let customer = order.customer_id;
            self.end(order, Status::Cancelled, facts, effects);
            effects.push(SagaEffect::Unanswered(Unanswered { customer, counts }));
        }
    }

    fn fire_attention(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        if let Some(attention) = &mut self.attention
            && !attention.fire(facts, effects)
        {
            self.attention = None;
        }
    }

    fn fire_progress(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(progress) = &mut self.progress else { return };
        if progress.fire(facts, effects) {
            self.end(order, Status::Delivered, facts, effects);
        }
    }

    /// Moves the order by the hub's own hand.
    fn end(&mut self, order: &mut Order, to: Status, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let from = order.status;
        match order.apply_by_system(to, facts.terms, facts.now) {
            Some(follows) => {
                let terms = SagaTerms::default();
                self.moved(order, from, Party::System, terms, facts.clocks, facts.now);
                effects.push(SagaEffect::Moved { from, follows });
            }
            // The table knows no such transition: the state does not belong to the order, and nothing of it is due again.
            None => (self.unpaid_at, self.alert, self.progress) = (None, None, None),
        }
    }
}

#[cfg(test)]
mod tests;
