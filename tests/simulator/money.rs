//! The hub's transactions around money, and the worker that works on what is due.

use std::time::Duration;

use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{PaymentId, RefundId, UserId};
use bellhop::domain::order::{MoveRequest, Party, Status};
use bellhop::domain::payment::{
    Initiated, MoneyEffect, MoneyWay, NewsRefusal, NewsStatus, PaymentNews, PaymentState, Recorded,
    RefundState,
};
use bellhop::domain::saga::{SagaEffect, UnpaidFacts};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::provider::Stand;
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

    pub(crate) fn money_effects(&mut self, order: usize, effects: Vec<MoneyEffect>) {
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
            is_foreign: false,
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
    pub(crate) fn may_crash(&mut self, random: &mut Random) -> bool {
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
