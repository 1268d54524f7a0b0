//! Changing what an order says, and ringing for it by hand.

use crate::storage::commands::{ChangeError, ChangeOrder, Outcome, RingOrder, RingOutcome};

use super::super::answer::Answer;
use super::{Source, Transaction};

impl Transaction<'_> {
    /// Changes an order, and its saga with it: when it is to be ready decides when somebody is reminded.
    pub(super) fn change_order(&mut self, change: &ChangeOrder) -> Answer {
        let Some(order) = self.orders.get_mut(change.order) else {
            return Outcome::Changed(Err(ChangeError::NoSuchOrder)).into();
        };
        let party = change.request.party;
        let changed = match order.change(change.request.clone(), self.now) {
            Err(refusal) => return Outcome::Changed(Err(ChangeError::Refused(refusal))).into(),
            Ok(changed) if changed.is_empty() => {
                return Answer::Changed { step: self.orders.unchanged(change.order) };
            }
            Ok(changed) => changed,
        };
        if let Some(saga) = self.sagas.of(order.id, order.business_id) {
            saga.saga.changed(order, party, &self.clocks, self.now);
            self.sagas.changed(order.id);
        }
        // The search moves with the time at which it is ready.
        self.delivery_changed(change.order, &[]);
        let step = self.orders.edited(change.order, changed, (party, change.user), self.now);
        self.sources.push(Source::Step(step));
        Answer::Changed { step }
    }

    /// Makes the next ring of an order due at once; it is fired after the commit.
    pub(super) fn ring_order(&mut self, ring: &RingOrder) -> Answer {
        if self.orders.get(ring.order).is_none() {
            return Outcome::RingOrdered(RingOutcome::NoSuchOrder).into();
        }
        let saga = self.sagas.of(ring.order, ring.business);
        let waits = saga.is_some_and(|saga| saga.saga.ring_now(self.now));
        if waits {
            self.sagas.changed(ring.order);
        }
        Outcome::RingOrdered(if waits { RingOutcome::Rings } else { RingOutcome::NotWaiting }).into()
    }
}
