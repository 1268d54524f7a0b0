//! Messages of the provider at the hub: taken in, worked on, replayed.

use std::time::Duration;

use bellhop::domain::business::PaidVerdict;
use bellhop::domain::ids::PaymentId;
use bellhop::domain::order::Status;
use bellhop::domain::payment::{NewsRefusal, NewsStatus, PaymentNews, PaymentState};

use crate::money::{Letter, LetterState, new_refund};
use crate::owed::{self, Expected};
use crate::random::Random;
use crate::traffic::Message;
use crate::world::World;

impl World {
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

    pub(crate) fn work_on_letter(&mut self, n: usize, random: &mut Random) {
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
            (Ok(news), Some(order)) if self.traffic.provider.names_refunds => {
                self.hear(order, &news.clone().of_named_refunds())
            }
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

    pub(crate) fn order_of(&self, payment: PaymentId) -> Option<usize> {
        (0..self.orders.len()).find(|n| self.orders[*n].money.payment(payment).is_some())
    }

    /// Applies news to the money of an order.
    pub(crate) fn hear(&mut self, order: usize, news: &PaymentNews) -> Result<(), NewsRefusal> {
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
    pub(crate) fn payment_closed(&mut self, order: usize) {
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
}
