//! Refunds at the hub: demanded, retried, given by hand, begun and answered.

use std::time::Duration;

use bellhop::domain::ids::RefundId;
use bellhop::domain::payment::{MoneyWay, RefundAnswer, RefundDemand, RefundState, RefundStep};

use crate::money::{OPERATOR, new_refund};
use crate::owed;
use crate::provider::{Call, HeldPayment};
use crate::random::Random;
use crate::traffic::Happening;
use crate::world::World;

impl World {
    /// Somebody wants money back for a customer, or gave it by hand.
    pub(crate) fn demand(&mut self, order: usize, amount_minor: Option<i64>, by_hand: Option<MoneyWay>) {
        self.commit();
        if by_hand.is_some() && self.has_gone_back_outside(order) {
            return;
        }
        // Messages that name no refund are told apart by their amounts only.
        let held = self.traffic.provider.payments.iter().filter(|held| held.order == order);
        let mut outside = held.flat_map(|held| &held.refunds).filter(|refund| refund.refund.is_none());
        if outside.any(|refund| Some(refund.amount_minor) == amount_minor) {
            return;
        }
        let (now, mut ids) = (self.now, self.ids);
        let demand = RefundDemand {
            id: new_refund(&mut ids),
            amount_minor,
            reason: None,
            by_hand,
            reference: None,
            user: OPERATOR,
        };
        let live = &mut self.orders[order];
        let before = live.money.clone();
        let done = live.money.demand(&mut live.order, demand, || new_refund(&mut ids), now);
        self.ids = ids;
        self.note(|| format!("order {order}: demand {amount_minor:?} {by_hand:?}: {done:?}"));
        let Ok((id, effects)) = done else { return };
        let live = &mut self.orders[order];
        let refund = live.money.refund(id).expect("it is there").clone();
        if before.refund(id).is_none() {
            live.till.demanded.push((refund.payment, refund.amount_minor));
            self.seen.demanded += 1;
        }
        if by_hand.is_some() {
            live.till.by_hand_out.push((refund.payment, id, refund.amount_minor));
        }
        self.money_effects(order, effects);
    }

    /// An operator lets a refund be sent again.
    pub(crate) fn retry(&mut self, order: usize, refund: RefundId) {
        if !self.traffic.provider.names_refunds {
            // Late messages of several tries could not be told apart: where the provider names none, money is given by hand.
            return self.give_by_hand(order, refund);
        }
        self.commit();
        let now = self.now;
        let money = &mut self.orders[order].money;
        let had_failed = money.refund(refund).is_some_and(|one| one.state == RefundState::Failed);
        let done = money.retry_refund(refund, now);
        self.note(|| format!("order {order}: retry {refund}: {done:?}"));
        if done.is_ok() && had_failed {
            self.seen.retried += 1;
            self.orders[order].till.alarms.remove(&refund);
        }
    }

    /// Whether money has gone back at the provider of which the hub does not know yet. Whoever gives money by hand looks there first.
    fn has_gone_back_outside(&self, order: usize) -> bool {
        let held = self.traffic.provider.payments.iter().filter(|held| held.order == order);
        held.map(|held| self.gone_outside(order, held)).any(|gone| gone > 0)
    }

    /// How much of a payment has gone back of which the hub does not know.
    fn gone_outside(&self, order: usize, held: &HeldPayment) -> i64 {
        let live = &self.orders[order];
        let handed = live.till.by_hand_out.iter().filter(|(payment, ..)| *payment == held.id);
        let gone = held.returned() + handed.map(|(.., amount)| amount).sum::<i64>();
        gone - live.money.payment(held.id).map_or(0, |payment| payment.refunded_minor)
    }

    /// An operator gives a refund by hand.
    pub(crate) fn give_by_hand(&mut self, order: usize, id: RefundId) {
        self.commit();
        let is_there = self.has_gone_back_outside(order);
        let amount = self.orders[order].money.refund(id).expect("it is there").amount_minor;
        let payment = self.orders[order].money.refund(id).expect("it is there").payment;
        // Just that has gone back there: somebody else has given it.
        let held = self.traffic.provider.payment(payment);
        let is_given = held.is_some_and(|held| self.gone_outside(order, held) == amount);
        if is_there && !is_given {
            return;
        }
        let (now, mut ids) = (self.now, self.ids);
        let live = &mut self.orders[order];
        let refund = live.money.refund(id).expect("it is there").clone();
        let way = MoneyWay::Transfer;
        let new = || new_refund(&mut ids);
        let done = live.money.settle_refund(id, &mut live.order, (way, None, OPERATOR), new, now);
        self.ids = ids;
        self.note(|| format!("order {order}: {refund:?} by hand: {done:?}"));
        if let Ok(effects) = done {
            if !is_given {
                self.orders[order].till.by_hand_out.push((refund.payment, id, refund.amount_minor));
            }
            self.seen.by_hand += 1;
            self.money_effects(order, effects);
        }
    }

    /// Begins a refund that is due, and makes the call.
    pub(crate) fn begin_refund(&mut self, order: usize, id: RefundId, random: &mut Random) {
        self.commit();
        let now = self.now;
        let money = &mut self.orders[order].money;
        let seen = money.refund(id).expect("it is there").clone();
        if let Some(before) = seen.attempt.checked_sub(1) {
            assert_eq!(money.begin_refund(id, before, now), None, "a node that was away begins it");
        }
        let begun = money.begin_refund(id, seen.attempt, now);
        assert_eq!(money.begin_refund(id, seen.attempt, now), None, "two nodes begin the same attempt");
        self.note(|| format!("order {order}: begin {id}: {begun:?}"));
        let Some((step, refund)) = begun else { return };
        owed::is_worth_a_call(&seen, step);
        if self.may_crash(random) {
            return;
        }
        let call = Call {
            payment: refund.payment,
            refund: id,
            amount_minor: refund.amount_minor,
            key: refund.key(),
        };
        let (after, attempt) = (Duration::from_secs(random.below(5)), refund.attempt);
        // What the provider says may be about the attempt before a retry; the key of the retry tells, while it is known.
        let key_is_known =
            refund.first_sent_at.is_some_and(|at| self.traffic.provider.knows_keys_of(at, now));
        let again = refund.retries > 0 && key_is_known;
        let happening = match step {
            RefundStep::Send => Happening::Send { order, call, attempt },
            RefundStep::LookUp => Happening::Look { order, call, attempt, again },
            RefundStep::SendAgain => Happening::Look { order, call, attempt, again: true },
        };
        self.seen.looked += u64::from(step != RefundStep::Send);
        self.plan(after, happening);
    }

    pub(crate) fn refund_answered(
        &mut self,
        order: usize,
        id: RefundId,
        attempt: u32,
        answer: &RefundAnswer,
    ) {
        self.commit();
        let (now, mut ids) = (self.now, self.ids);
        let live = &mut self.orders[order];
        let new = || new_refund(&mut ids);
        let effects = live.money.refund_answered(id, attempt, answer, &mut live.order, new, now);
        self.ids = ids;
        self.seen.unknown += u64::from(*answer == RefundAnswer::NoAnswer);
        self.money_effects(order, effects);
    }
}
