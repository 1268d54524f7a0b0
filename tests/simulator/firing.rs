//! Deadlines that are fired, and what follows from them.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::business::Pause;
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::UserId;
use bellhop::domain::order::{Party, Status};
use bellhop::domain::saga::{AlertRule, Channel, Facts, OpsAlarm, RingKind, SagaEffect};
use bellhop::domain::time::Timestamp;

use crate::carried;
use crate::invariants;
use crate::streets::Ride;
use crate::world::{Live, Timer, World};

impl World {
    /// The transaction of a deadline: nothing where the row was written since, or is not due.
    pub(crate) fn fire(&mut self, Timer { order, attempt }: Timer) {
        self.commit();
        let row = &self.orders[order].row;
        if row.attempt != attempt || row.due_at.is_none_or(|due| due > self.now) {
            return;
        }
        let mut saga = self.saga(order);
        let live = &self.orders[order];
        let shop = &self.shops[live.shop];
        let business = shop.read();
        let facts = Facts {
            now: self.now,
            clocks: &self.clocks,
            unpaid: self.unpaid(order),
            delivery: self.delivery_facts(order),
            delivered: live.delivered,
            acted_at: live.acted_at,
            driver_acted_at: None,
            muted: business.alerts.is_muted(self.now),
            called_at: business.alerts.called_at,
            mailed_at: business.alerts.mailed_at,
            grace: self.life.grace,
            cancel_held: shop.holds(HeldAction::AutoCancel, self.now),
            saga_terms: self.terms(live.shop),
            terms: Some(business.acceptance(self.now)),
        };
        let mut moved = live.order.clone();
        let effects = saga.fire(&mut moved, &facts);
        self.orders[order].order = moved;
        self.orders[order].was_held |= facts.cancel_held;
        let done = format!("order {order} fires: {effects:?}");
        self.note(|| done);
        let changes_delivery = |effect: &SagaEffect| {
            matches!(effect, SagaEffect::Moved { .. } | SagaEffect::ExpireOffers | SagaEffect::TakeFromDriver)
        };
        let (follows, takes) =
            (effects.iter().any(changes_delivery), effects.contains(&SagaEffect::TakeFromDriver));
        for effect in effects {
            self.effect(order, effect);
        }
        if follows {
            self.follow(order, Party::System, &mut saga);
        }
        // What was taken from a driver is searched for at once.
        let is_done = |due: Timestamp| due > self.now || takes;
        assert!(saga.next_due().is_none_or(is_done), "a fire leaves nothing due: {saga:?}");
        self.write(order, &saga);
    }

    fn effect(&mut self, order: usize, effect: SagaEffect) {
        let (now, live) = (self.now, &mut self.orders[order]);
        let shop = &mut self.shops[live.shop];
        match effect {
            SagaEffect::Ring(ring) => {
                invariants::ring(live, ring, &self.clocks, now);
                self.seen.rings += 1;
                let by_itself = live.history.last().is_some_and(|(_, _, party)| *party == Party::System);
                self.seen.accepted_by_itself += u64::from(
                    by_itself && ring.kind == RingKind::Placed && live.order.status == Status::Accepted,
                );
            }
            SagaEffect::RingDriver(driver, ring) => invariants::ring_driver(live, driver, ring),
            SagaEffect::Use(channel, rung) => {
                invariants::channel(live, shop, channel, rung, &self.clocks, now);
                assert!(live.uses.insert((channel, rung)), "a channel is used once for a rung");
                match channel {
                    Channel::Telephone => {
                        shop.calls.push(now);
                        shop.business.alerts.called_at = Some(now);
                        self.seen.calls += 1;
                    }
                    Channel::Mail => {
                        shop.mails.push(now);
                        shop.business.alerts.mailed_at = Some(now);
                    }
                    Channel::Webhook => {}
                }
            }
            SagaEffect::Moved { from, .. } => {
                self.seen.forgotten += u64::from(live.order.status == Status::Delivered);
                self.seen.cancelled += u64::from(live.order.status == Status::Cancelled);
                self.seen.given_up +=
                    u64::from(live.order.status == Status::Cancelled && live.delivery.is_some());
                invariants::moved_by_the_hub(order, from, self);
                self.moved(order, from, Party::System, None);
                self.settle(order);
            }
            SagaEffect::Alarm(alarm) => {
                live.told = true;
                live.bag.told_silent |= alarm == OpsAlarm::DriverSilent;
            }
            SagaEffect::Remind => {}
            SagaEffect::ExpireOffers => self.expire_offers(order),
            SagaEffect::Look { wave } => {
                carried::looked(self, order);
                let look = self.look_of(order, wave);
                self.ride(Duration::from_millis(5), Ride::Look(look));
            }
            SagaEffect::NoDriver => carried::told_of_nobody(self, order),
            SagaEffect::AskDriver => carried::asked_whether_coming(self, order),
            SagaEffect::TakeFromDriver => self.take_from_driver(order),
            SagaEffect::ClosePayment => {
                live.till.closing_since.get_or_insert(now);
                live.money.ask(now);
            }
            SagaEffect::Unanswered(unanswered) => {
                if unanswered.counts {
                    assert!(invariants::may_count(&self.orders[order], self), "counts for an outage");
                    self.unanswered(order, unanswered.customer);
                } else {
                    self.seen.graced += 1;
                }
            }
        }
    }

    /// Counts an order without an answer, and pauses its business when the rule says so.
    fn unanswered(&mut self, order: usize, customer: UserId) {
        let (now, index) = (self.now, self.orders[order].shop);
        let waits = |live: &&Live| {
            let since = live.order.placed_at.unwrap_or(now);
            live.shop == index
                && live.order.status == Status::Placed
                && AlertRule::of(&live.order) == AlertRule::Full
                && since.plus(self.clocks.escalate) < now
        };
        let waiting: Vec<UserId> =
            self.orders.iter().filter(waits).map(|live| live.order.customer_id).collect();
        let customer_index = self.orders[order].customer;
        let shop = &mut self.shops[index];
        if shop.holds(HeldAction::AutoPause, now) {
            return;
        }
        let pauses = shop.business.alerts.ran_out(customer, &waiting, self.clocks.unanswered_pause);
        // The same, said by the oracle.
        if !shop.in_a_row.contains(&customer_index) {
            shop.in_a_row.push(customer_index);
        }
        let others: BTreeSet<UserId> = waiting.into_iter().filter(|other| *other != customer).collect();
        assert_eq!(pauses, shop.in_a_row.len() >= 3 || others.len() >= 2, "the rule of unanswered orders");
        if pauses {
            shop.in_a_row.clear();
            let timezone = shop.business.timezone.clone();
            shop.pause(Pause::unanswered(now, &timezone));
            self.seen.paused += 1;
            self.note(|| format!("shop {index} is paused as unanswered"));
        }
    }
}
