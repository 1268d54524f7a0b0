//! The hub's transactions around money, and the worker that works on what is due.

use std::time::Duration;

use bellhop::domain::business::PaidVerdict;
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{PaymentId, RefundId, UserId};
use bellhop::domain::order::{MoveRequest, Party, Status};
use bellhop::domain::payment::{
    Initiated, MoneyEffect, MoneyWay, NewsRefusal, NewsStatus, PaymentNews, PaymentState, Recorded,
    RefundAnswer, RefundDemand, RefundState, RefundStep,
};
use bellhop::domain::saga::{SagaEffect, UnpaidFacts};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::owed::{self, Expected};
use crate::provider::{Call, HeldPayment, Stand};
use crate::random::Random;
use crate::traffic::{Happening, Message};
use crate::world::World;

/// The state of a message of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterState {
    Due(Timestamp),
    Done,
    Dead(NewsRefusal),
}

/// A message of the provider as it was taken in.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) message: Message,
    pub(crate) attempts: u32,
    pub(crate) state: LetterState,
}

/// Something that the worker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Letter(usize),
    Ask(usize, PaymentId),
    Refund(usize, RefundId),
    Late(usize, RefundId),
}

pub(crate) const OPERATOR: UserId = UserId::from_uuid(Uuid::from_u128(0xADAD));

/// The id of the next refund.
pub(crate) fn new_refund(ids: &mut u128) -> RefundId {
    *ids += 1;
    RefundId::from_uuid(Uuid::from_u128(0x5000_0000 + *ids))
}

impl World {
    fn new_payment(&mut self) -> PaymentId {
        self.ids += 1;
        PaymentId::from_uuid(Uuid::from_u128(0x4000_0000 + self.ids))
    }

    /// Makes the refunds due that an order owes; part of every commit that moves it.
    pub(crate) fn settle(&mut self, order: usize) {
        let (now, mut ids) = (self.now, self.ids);
        let live = &mut self.orders[order];
        if live.order.has_money_to_settle() {
            live.money.settle(&mut live.order, || new_refund(&mut ids), now);
        }
        self.ids = ids;
    }

    /// How far the payment is that an order waits for.
    pub(crate) fn unpaid(&self, order: usize) -> UnpaidFacts {
        let live = &self.orders[order];
        let is_of_it = |letter: &Letter| {
            letter.state != LetterState::Done
                && (letter.message.payment.is_some_and(|id| live.money.payment(id).is_some())
                    || letter.message.news.as_ref().is_ok_and(|news| news.order == live.order.id))
        };
        if self.inbox.iter().any(is_of_it) {
            UnpaidFacts::Unprocessed
        } else if live.money.open().is_some() {
            UnpaidFacts::Open
        } else {
            UnpaidFacts::Nothing
        }
    }

    fn money_effects(&mut self, order: usize, effects: Vec<MoneyEffect>) {
        let now = self.now;
        for effect in effects {
            match effect {
                MoneyEffect::Place | MoneyEffect::CancelClosed => {
                    let takes = effect == MoneyEffect::Place;
                    let (mut saga, terms) = (self.saga(order), self.terms(self.orders[order].shop));
                    let live = &mut self.orders[order];
                    let moved = saga.paid(&mut live.order, takes, terms, &self.clocks, now);
                    let Some(SagaEffect::Moved { from, .. }) = moved else {
                        panic!("order {order} is paid and does not move: {moved:?}");
                    };
                    self.moved(order, from, Party::System, None);
                    self.write(order, &saga);
                }
                MoneyEffect::RefundFailed(id) => {
                    self.orders[order].till.alarms.insert(id);
                }
                MoneyEffect::ReturnedOutside(_) => self.orders[order].till.outside_told += 1,
                MoneyEffect::Returned(id) => {
                    self.orders[order].till.alarms.remove(&id);
                }
                MoneyEffect::Received(_) => {}
            }
        }
    }

    /// A customer wants to pay.
    pub(crate) fn initiate(&mut self, order: usize, random: &mut Random) {
        self.commit();
        let (id, now) = (self.new_payment(), self.now);
        let live = &mut self.orders[order];
        let initiated = live.money.initiate(&live.order, id, live.order.customer_id, now);
        self.note(|| format!("order {order}: initiate: {initiated:?}"));
        let payment = match initiated {
            Ok(Initiated::New(payment) | Initiated::Open(payment)) => payment,
            Err(_) => return,
        };
        if self.may_crash(random) {
            return;
        }
        if payment.redirect_url.is_some() {
            return self.opened(order, payment.id, random);
        }
        let amount_minor = payment.amount_minor;
        let after = Duration::from_secs(random.below(3));
        self.plan(after, Happening::Open { order, payment: payment.id, amount_minor });
    }

    /// The customer sees where to pay, and does something about it.
    pub(crate) fn opened(&mut self, order: usize, payment: PaymentId, random: &mut Random) {
        self.commit();
        let now = self.now;
        self.orders[order].money.opened(payment, None, "https://pay".to_owned(), now);
        let amount_minor = self.orders[order].order.total_minor
            + match random.below(100) {
                0..6 => random.between(1, 50) as i64,
                6..9 => -(random.between(1, 50) as i64),
                _ => 0,
            };
        let after = Duration::from_secs(match random.below(10) {
            0..6 => random.between(5, 240),
            6..8 => random.between(840, 960),
            _ => random.between(240, 2_400),
        });
        let is_told = random.chance(95);
        let pays = Happening::Pay { payment, amount_minor, is_told };
        match random.below(100) {
            0..60 => self.plan(after, pays),
            60..75 => self.plan(after, Happening::Decline { payment, closes: true }),
            75..90 => {
                // The card is refused, and the customer comes back to the page later.
                self.plan(after, Happening::Decline { payment, closes: false });
                let later = after + Duration::from_secs(random.between(10, 900));
                self.plan(later, pays);
            }
            _ => {}
        }
    }

    /// Somebody records what was paid otherwise.
    pub(crate) fn record(&mut self, order: usize, way: MoneyWay) {
        self.commit();
        let (id, now, mut ids) = (self.new_payment(), self.now, self.ids);
        let live = &mut self.orders[order];
        let recorded = Recorded { id, way, reference: None, user: OPERATOR };
        let done = live.money.record(&mut live.order, recorded, || new_refund(&mut ids), now);
        self.ids = ids;
        self.note(|| format!("order {order}: {way}: {done:?}"));
        if let Ok(effects) = done {
            let total = self.orders[order].order.total_minor;
            let till = &mut self.orders[order].till;
            assert_eq!(till.paid_by, None, "order {order} was paid already");
            till.paid_by = Some(id);
            till.by_hand_in.push((id, total));
            self.seen.recorded += 1;
            self.money_effects(order, effects);
        }
    }

    /// Takes in a message of the provider.
    pub(crate) fn receive(&mut self, message: &Message) {
        self.commit();
        if self.inbox.iter().any(|letter| letter.message.key == message.key) {
            self.seen.repeated += 1;
            return;
        }
        let state = LetterState::Due(self.now);
        self.inbox.push(Letter { message: message.clone(), attempts: 0, state });
    }

    fn work_on_letter(&mut self, n: usize, random: &mut Random) {
        self.commit();
        if !self.traffic.provider.is_calm && random.chance(3) {
            // A fault of the hub: it spends no attempt.
            self.inbox[n].state = LetterState::Due(self.now.plus(Duration::from_secs(random.between(1, 60))));
            return;
        }
        let message = self.inbox[n].message.clone();
        let order = message.payment.and_then(|id| self.order_of(id));
        let heard = match (&message.news, order) {
            (Err(refusal), _) => Err(*refusal),
            (Ok(_), None) => Err(NewsRefusal::UnknownPayment),
            (Ok(news), Some(order)) => self.hear(order, news),
        };
        self.note(|| format!("letter {n}: {heard:?}"));
        let letter = &mut self.inbox[n];
        letter.state = match heard {
            Ok(()) => LetterState::Done,
            Err(refusal) => {
                letter.attempts += 1;
                match refusal.pause(letter.attempts, random.below(1000)) {
                    Some(pause) => LetterState::Due(self.now.plus(pause)),
                    None => {
                        self.seen.dead += 1;
                        LetterState::Dead(refusal)
                    }
                }
            }
        };
    }

    /// Operators let dead messages be worked on again.
    pub(crate) fn replay(&mut self) {
        self.commit();
        let now = self.now;
        for letter in &mut self.inbox {
            if matches!(letter.state, LetterState::Dead(_)) {
                (letter.state, letter.attempts) = (LetterState::Due(now), 0);
            }
        }
    }

    fn order_of(&self, payment: PaymentId) -> Option<usize> {
        (0..self.orders.len()).find(|n| self.orders[*n].money.payment(payment).is_some())
    }

    /// Applies news to the money of an order.
    fn hear(&mut self, order: usize, news: &PaymentNews) -> Result<(), NewsRefusal> {
        let (now, mut ids) = (self.now, self.ids);
        let shop = &self.shops[self.orders[order].shop];
        let takes = match shop.read().paid_verdict(now) {
            PaidVerdict::Takes => true,
            PaidVerdict::TakesIfReachable => shop.devices > 0,
            PaidVerdict::Refuses => false,
        };
        let expected = owed::expected(&self.orders[order], shop, news, now);
        let live = &mut self.orders[order];
        let before = (live.order.clone(), live.money.clone());
        let heard = live.money.hear(news, &mut live.order, takes, || new_refund(&mut ids), now);
        self.ids = ids;
        let effects = match heard {
            Ok(effects) => effects,
            Err(refusal) => {
                assert!(expected == Expected::Refused || news.status != NewsStatus::Success, "{news:?}");
                assert!((&live.order, &live.money) == (&before.0, &before.1), "a refusal changes nothing");
                return Err(refusal);
            }
        };
        if expected == Expected::Placed {
            live.till.paid_by = Some(news.payment);
        }
        self.money_effects(order, effects);
        if news.status == NewsStatus::Failed {
            self.payment_closed(order);
        }
        owed::is_as_expected(&self.orders[order], &before.0, news, expected);
        self.seen.late_success +=
            u64::from(expected == Expected::Booked && news.status == NewsStatus::Success);
        self.seen.closed += u64::from(expected == Expected::Cancelled);
        Ok(())
    }

    /// A payment of an order is closed: what it waits for may be over.
    fn payment_closed(&mut self, order: usize) {
        let live = &self.orders[order];
        let has_failed = live.money.payments().iter().any(|one| one.state == PaymentState::Failed);
        let is_closed = has_failed && live.money.open().is_none();
        if live.order.status != Status::PendingPayment || !is_closed {
            return;
        }
        let mut saga = self.saga(order);
        if saga.payment_closed(self.now) {
            self.write(order, &saga);
        }
    }

    /// The provider said how the payment stands that it was told to close, or did not.
    pub(crate) fn closed(
        &mut self,
        order: usize,
        payment: PaymentId,
        stand: Option<Option<Stand>>,
        random: &mut Random,
    ) {
        self.commit();
        self.traffic.asking.remove(&payment);
        let news = |status, amount_minor| PaymentNews {
            payment,
            order: self.orders[order].order.id,
            status,
            amount_minor,
            currency: None,
            refund: None,
        };
        let news = match stand {
            Some(Some(Stand::Captured(amount))) => news(NewsStatus::Success, Some(amount)),
            Some(Some(Stand::Closed) | None) => news(NewsStatus::Failed, None),
            None | Some(Some(Stand::Open)) => {
                let at = self.now.plus(Duration::from_secs(random.between(10, 60)));
                return self.orders[order].money.ask_again(payment, at);
            }
        };
        let key = format!("asked {payment}");
        let Err(refusal) = self.hear(order, &news) else {
            for letter in self.inbox.iter_mut().filter(|letter| letter.message.key == key) {
                letter.state = LetterState::Done;
            }
            return;
        };
        let message = Message { key: key.clone(), payment: Some(payment), news: Ok(news), is_signed: true };
        self.receive(&message);
        for letter in self.inbox.iter_mut().filter(|letter| letter.message.key == key) {
            letter.state = LetterState::Dead(refusal);
        }
        let at = self.now.plus(Duration::from_secs(3600));
        self.orders[order].money.ask_again(payment, at);
    }

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
    fn begin_refund(&mut self, order: usize, id: RefundId, random: &mut Random) {
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

    /// When the worker has something to do next, and what.
    pub(crate) fn next_work(&self) -> Option<(Timestamp, Work)> {
        let letters = self.inbox.iter().enumerate().filter_map(|(n, letter)| match letter.state {
            LetterState::Due(at) => Some((at, Work::Letter(n))),
            LetterState::Done | LetterState::Dead(_) => None,
        });
        let orders = self.orders.iter().enumerate().filter(|(_, live)| !live.money.payments().is_empty());
        let money = orders.flat_map(|(n, live)| {
            let is_held = self.shops[live.shop].holds(HeldAction::Refunds, self.now);
            let asks = live.money.payments().iter().filter_map(move |payment| {
                let at = payment.ask_at.filter(|_| !self.traffic.asking.contains(&payment.id))?;
                Some((at, Work::Ask(n, payment.id)))
            });
            let refunds = live.money.refunds().iter().flat_map(move |refund| {
                let due = refund.due_at.filter(|_| !is_held);
                let due = due.map(|at| (at, Work::Refund(n, refund.id)));
                due.into_iter().chain(refund.alarm_at.map(|at| (at, Work::Late(n, refund.id))))
            });
            asks.chain(refunds)
        });
        letters.chain(money).min()
    }

    pub(crate) fn work(&mut self, work: Work, random: &mut Random) {
        match work {
            Work::Letter(n) => self.work_on_letter(n, random),
            Work::Ask(order, payment) => {
                if self.may_crash(random) {
                    return;
                }
                self.traffic.asking.insert(payment);
                self.seen.asked += 1;
                self.plan(Duration::from_secs(random.below(4)), Happening::Close { order, payment });
            }
            Work::Refund(order, id) => self.begin_refund(order, id, random),
            Work::Late(order, id) => {
                self.commit();
                let now = self.now;
                let effects = self.orders[order].money.refund_late(id, now);
                self.money_effects(order, effects);
            }
        }
    }

    /// The hub dies now and then between two steps.
    fn may_crash(&mut self, random: &mut Random) -> bool {
        let dies = !self.traffic.provider.is_calm && random.chance(2);
        if dies {
            self.crash();
        }
        dies
    }

    /// The end of an evening for operators: what waits for a person is done by one.
    pub(crate) fn clear_up(&mut self, random: &mut Random) {
        for order in 0..self.orders.len() {
            let is_stuck = self.orders[order].order.status == Status::PendingPayment
                && self.unpaid(order) == UnpaidFacts::Unprocessed;
            if is_stuck {
                let version = self.orders[order].order.version;
                let request = MoveRequest {
                    party: Party::Admin,
                    to: Status::Cancelled,
                    version,
                    prep_minutes: None,
                    delivered_by: None,
                };
                self.move_order(order, request, Some("its payment cannot be cleared up"));
            }
            let refunds: Vec<_> = self.orders[order].money.refunds().to_vec();
            for refund in refunds {
                let waits = matches!(refund.state, RefundState::Due | RefundState::Failed);
                if waits && refund.way != MoneyWay::Online {
                    self.give_by_hand(order, refund.id);
                } else if refund.state == RefundState::Failed {
                    if random.chance(70) {
                        self.retry(order, refund.id);
                    } else {
                        self.give_by_hand(order, refund.id);
                    }
                }
            }
        }
        self.replay();
    }

    /// Whether nothing of an order's money is under way.
    pub(crate) fn is_at_rest(&self, order: usize) -> bool {
        let money = &self.orders[order].money;
        money.refunds().iter().all(|refund| refund.state == RefundState::Succeeded)
            && money.payments().iter().all(|payment| payment.state != PaymentState::Initiated)
    }
}
