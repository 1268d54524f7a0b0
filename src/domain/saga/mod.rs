//! The life of an order by itself: what the hub does to it when a time has come. Pure: the store keeps the state in the commit
//! of each change, and fires it when it is due.

mod alert;
mod attention;
mod clocks;
pub mod deadlines;
mod facts;
mod outage;
mod progress;
mod search;
mod terms;
mod watching;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::order::{EndedCode, Order, Party, Status};
use crate::domain::time::Timestamp;

pub use alert::{AlertRule, OrderAlert};
pub use attention::Attention;
use attention::DriverBell;
pub use clocks::Clocks;
pub use facts::{DeliveryFacts, Facts, Grace, Ring, SagaEffect, Unanswered, UnpaidFacts};
pub use outage::SignsOfLife;
pub use progress::Progress;
pub use search::Search;
pub use terms::SagaTerms;
pub use words::{Channel, DeadlineKind, OpsAlarm, RingKind, Rung};

/// Pause between two looks at a payment that an order waits for beyond its time.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// What waits for a time in the life of one order. It is read back from its JSON; a state that cannot be read is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSaga {
    /// The version of the order that all of this belongs to. Another one was made by a release that keeps no saga.
    #[serde(default)]
    version: i64,
    /// There while the order waits for its payment: when that has to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unpaid_at: Option<Timestamp>,
    /// There while the provider is asked to close the payment that the order has waited for: until then it may say what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closing_until: Option<Timestamp>,
    /// There while the order waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert: Option<OrderAlert>,
    /// There while devices ring until somebody has looked at the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
    /// There while a driver is rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    driver_bell: Option<DriverBell>,
    /// There while the order has been answered and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// There while drivers of the hub are to bring the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search: Option<Search>,
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
        self.attention = self.attention_after(order, from, party, clocks, now);
        self.enter(order, terms, clocks, now);
        order.deadline_at = self.acts_at(order);
    }

    /// What devices ring for after a transition, besides a new order.
    fn attention_after(
        &mut self,
        order: &Order,
        from: Status,
        party: Party,
        clocks: &Clocks,
        now: Timestamp,
    ) -> Option<Attention> {
        use Status::{Accepted, Cancelled, PickedUp, Preparing, Ready};
        match (party, order.status) {
            (Party::Member, _) => None,
            (_, Cancelled) if matches!(from, Accepted | Preparing | Ready) => {
                Some(Attention::happened(RingKind::Cancelled, clocks, now))
            }
            (Party::System, Accepted) => {
                let ring_every = self.alert.as_ref().map_or(clocks.ring_every, OrderAlert::ring_every);
                let since = order.placed_at.unwrap_or(now);
                Some(Attention::accepted(since, ring_every, clocks, now))
            }
            // The kitchen has nothing to do with it any more.
            (_, PickedUp) => None,
            _ if order.status.is_end() => None,
            _ => self.attention.take(),
        }
    }

    /// Notes that `party` changed the order without moving it: devices ring if it was not the business, and the time by which it
    /// is to be ready may be another one.
    pub fn changed(&mut self, order: &Order, party: Party, clocks: &Clocks, now: Timestamp) {
        let Some(progress) = &mut self.progress else { return };
        progress.ready_by(order, clocks, now);
        if let Some(driver) = self.search.as_ref().and_then(Search::driver) {
            self.driver_bell = Some(DriverBell::changed(driver, clocks, now));
        }
        // A new order that nobody has looked at yet rings longer.
        let rings_longer = self.attention.as_ref().is_some_and(Attention::is_of_new_order);
        if party != Party::Member && !rings_longer {
            self.attention = Some(Attention::happened(RingKind::Changed, clocks, now));
        }
    }

    /// Lets the order ring at `now`, and says whether it waits for an answer.
    pub fn ring_now(&mut self, now: Timestamp) -> bool {
        self.alert.as_mut().map(|alert| alert.ring_now(now)).is_some()
    }

    /// The next time at which something is to happen; `None`: nothing by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        [
            self.unpaid_at,
            self.alert.as_ref().and_then(OrderAlert::next_due),
            self.attention.as_ref().map(Attention::next_due),
            self.driver_bell.as_ref().map(DriverBell::next_due),
            self.progress.as_ref().and_then(Progress::next_due),
            self.search.as_ref().map(Search::next_due),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The kind of what is due next, for metrics.
    pub fn next_kind(&self) -> Option<DeadlineKind> {
        let due = self.next_due()?;
        let (alert, progress) = (self.alert.as_ref(), self.progress.as_ref());
        let forgotten = alert.and_then(OrderAlert::forgotten_at);
        Some(if self.unpaid_at == Some(due) {
            DeadlineKind::Unpaid
        } else if alert.and_then(OrderAlert::accept_at) == Some(due) {
            DeadlineKind::Accept
        } else if forgotten.or_else(|| progress.and_then(Progress::ends_at)) == Some(due) {
            DeadlineKind::Forgotten
        } else if progress.and_then(Progress::next_due) == Some(due) {
            DeadlineKind::Progress
        } else if self.search.as_ref().map(Search::next_due) == Some(due) {
            DeadlineKind::Dispatch
        } else {
            DeadlineKind::Alert
        })
    }

    /// Whether the first acknowledgement of a device is to accept the order.
    pub fn accepts_by_itself(&self) -> bool {
        self.alert.as_ref().is_some_and(|alert| alert.auto_accept)
    }

    /// When the hub will act on the present status by itself.
    fn acts_at(&self, order: &Order) -> Option<Timestamp> {
        self.unpaid_at
            .or_else(|| self.alert.as_ref().and_then(|alert| alert.ends_at(order.fulfilment)))
            .or_else(|| self.progress.as_ref().and_then(Progress::ends_at))
    }

    /// Follows a change of the order's delivery or of its offers, of which the last ends at `offers_until`.
    pub fn delivery_changed(
        &mut self,
        order: &Order,
        delivery: &Delivery,
        offers_until: Option<Timestamp>,
        clocks: &Clocks,
        now: Timestamp,
    ) {
        let rules = &clocks.dispatch;
        // Somebody may be on the way for nothing.
        let is_news = delivery.status == DeliveryStatus::Cancelled && delivery.ended_at == Some(now);
        if let Some(driver) = delivery.driver.filter(|_| is_news) {
            self.driver_bell = Some(DriverBell::cancelled(driver, clocks, now));
        }
        self.search = Search::follow(self.search.take(), order, delivery, offers_until, rules, now);
    }

    /// Follows an order that takes another way to its customer from now on, by the hand of `party`.
    pub fn way_changed(&mut self, order: &mut Order, party: Party, clocks: &Clocks, now: Timestamp) {
        self.search = None;
        self.progress = self.progress.take().map(|_| Progress::new(order, clocks, now));
        self.changed(order, party, clocks, now);
        order.deadline_at = self.acts_at(order);
    }

    /// Notes that a wave of offers was opened.
    pub fn wave_opened(&mut self, wave: u32) {
        if let Some(search) = &mut self.search {
            search.opened(wave);
        }
    }

    /// Looks at the driver who has the delivery at once. Whether anybody has it.
    pub fn look_at_driver(&mut self, now: Timestamp) -> bool {
        self.search.as_mut().is_some_and(|search| search.look_at_driver(now))
    }

    /// Searches until then. Whether there is a search.
    pub fn extend_search(&mut self, until: Timestamp) -> bool {
        self.search
            .as_mut()
            .filter(|search| search.gives_up_at().is_some())
            .map(|search| search.extend(until))
            .is_some()
    }

    /// When the search for a driver is given up, while there is one.
    pub fn search_gives_up_at(&self) -> Option<Timestamp> {
        self.search.as_ref().and_then(Search::gives_up_at)
    }

    fn enter(&mut self, order: &mut Order, terms: SagaTerms, clocks: &Clocks, now: Timestamp) {
        (self.unpaid_at, self.alert, self.progress) = (None, None, None);
        self.closing_until = None;
        self.version = order.version;
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
        if order.status.is_end() {
            self.search = None;
        }
    }

    /// Does everything that is due at `now`, on the order too, and tells what follows. A deadline that could not act stays due
    /// later; after it [`OrderSaga::next_due`] lies after `now`.
    pub fn fire(&mut self, order: &mut Order, facts: &Facts<'_>) -> Vec<SagaEffect> {
        let mut effects = Vec::new();
        if self.version != order.version {
            self.take_over(order, facts);
        }
        self.fire_unpaid(order, facts, &mut effects);
        self.fire_alert(order, facts, &mut effects);
        self.fire_progress(order, facts, &mut effects);
        self.fire_search(order, facts, &mut effects);
        // Last, so that what ended just now does not ring.
        self.fire_attention(facts, &mut effects);
        order.deadline_at = self.acts_at(order);
        effects
    }

    /// Begins anew for an order that a release without sagas placed or moved. What it says about its past stays.
    fn take_over(&mut self, order: &mut Order, facts: &Facts<'_>) {
        let (placed_at, answered_at) = (order.placed_at, order.answered_at);
        (self.attention, self.driver_bell) = (None, None);
        self.enter(order, facts.saga_terms, facts.clocks, facts.now);
        (order.placed_at, order.answered_at) = (placed_at.or(order.placed_at), answered_at);
    }

    fn fire_unpaid(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(due) = self.unpaid_at.filter(|due| *due <= facts.now) else { return };
        let later = facts.after_outage(due, order.created_at).or_else(|| facts.held());
        if let Some(later) = later {
            self.unpaid_at = Some(later);
            return;
        }
        match facts.unpaid {
            UnpaidFacts::Open => {
                let last = facts.now.plus(facts.clocks.unpaid_unknown);
                let last = *self.closing_until.get_or_insert(last);
                if facts.now < last {
                    self.unpaid_at = Some(facts.now.plus(ASK_EVERY).min(last));
                    effects.push(SagaEffect::ClosePayment);
                } else {
                    self.end(order, Status::Cancelled, facts, effects);
                }
            }
            // However long that takes: the money may be there.
            UnpaidFacts::Unprocessed => self.unpaid_at = Some(facts.now.plus(ASK_EVERY)),
            UnpaidFacts::Nothing => self.end(order, Status::Cancelled, facts, effects),
        }
    }

    /// The payment that the order waited for was closed without money. Where the hub had asked for that, the order is cancelled at
    /// once; whether that changes when it is due.
    pub fn payment_closed(&mut self, now: Timestamp) -> bool {
        let is_closing = self.closing_until.is_some();
        match &mut self.unpaid_at {
            Some(at) if is_closing && *at > now => {
                *at = now;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Moves a paid order by the hub's own hand: it is placed, or cancelled when its business takes it no more. `None` when it does not
    /// wait for its payment.
    pub fn paid(
        &mut self,
        order: &mut Order,
        takes: bool,
        terms: SagaTerms,
        clocks: &Clocks,
        now: Timestamp,
    ) -> Option<SagaEffect> {
        let from = order.status;
        let to = if takes { Status::Placed } else { Status::Cancelled };
        if from != Status::PendingPayment {
            return None;
        }
        let follows = order.apply_by_system(to, None, now)?;
        if let Some(reason) = &mut order.ended_reason {
            reason.code = EndedCode::BusinessClosed;
        }
        self.moved(order, from, Party::System, terms, clocks, now);
        Some(SagaEffect::Moved { from, follows })
    }

    fn fire_alert(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(alert) = &mut self.alert else { return };
        if alert.auto_accept && facts.delivered {
            self.end(order, Status::Accepted, facts, effects);
            return;
        }
        let end = alert.fire(order.fulfilment, facts, effects);
        let counts = alert.counts();
        let Some(end) = end else { return };
        self.end(order, end, facts, effects);
        if order.status == Status::Cancelled {
            effects.push(SagaEffect::Alarm(OpsAlarm::OrderUnanswered));
            effects.push(SagaEffect::Unanswered(Unanswered { customer: order.customer_id, counts }));
        }
    }

    fn fire_attention(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        if let Some(attention) = &mut self.attention
            && !attention.fire(facts, effects)
        {
            self.attention = None;
        }
        if let Some(bell) = &mut self.driver_bell
            && !bell.fire(facts, effects)
        {
            self.driver_bell = None;
        }
    }

    fn fire_progress(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(progress) = &mut self.progress else { return };
        if progress.fire(facts, effects) {
            self.end(order, Status::Delivered, facts, effects);
        }
    }

    fn fire_search(&mut self, order: &mut Order, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let Some(delivery) = &facts.delivery else {
            self.search = None;
            return;
        };
        if let Some(search) = &mut self.search
            && search.fire(order, delivery, facts, effects)
        {
            self.end(order, Status::Cancelled, facts, effects);
        }
    }

    /// Moves the order by the hub's own hand.
    fn end(&mut self, order: &mut Order, to: Status, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let from = order.status;
        match order.apply_by_system(to, facts.terms, facts.now) {
            Some(follows) => {
                self.moved(order, from, Party::System, facts.saga_terms, facts.clocks, facts.now);
                effects.push(SagaEffect::Moved { from, follows });
            }
            // The table knows no such transition: the state does not belong to the order, and nothing of it is due again.
            None => (self.unpaid_at, self.alert, self.progress) = (None, None, None),
        }
    }
}

#[cfg(test)]
mod tests;
