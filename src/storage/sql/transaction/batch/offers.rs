//! Offers: opened in waves, answered, withdrawn.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use crate::domain::delivery::{Accepted, AnswerRefusal, DeliveryEffect, OfferEnd, told};
use crate::domain::ids::{EventId, OfferId, UserId};
use crate::storage::commands::{AnswerOffer, DeliveryChanged, LookAgain, OfferAnswer, OpenWave, Outcome};

use super::super::answer::Answer;
use super::Transaction;

impl Transaction<'_> {
    /// Opens a wave for those of the candidates who can be asked by their rows.
    pub(super) fn open_wave(&mut self, open: &OpenWave) -> Answer {
        let (id, clocks) = (open.order, self.clocks.clone());
        let asked = self.deliveries.asked_for_others(id);
        let is_live = self.orders.get(id).is_some_and(|order| !order.status.is_end());
        let effects = self.with_delivery(id, |delivery, drivers, _, now| {
            let rules = &clocks.dispatch;
            if !is_live {
                return Vec::new();
            }
            delivery.open_wave(&open.wave, drivers, &asked, OfferId::generate, rules, now)
        });
        let effects = effects.unwrap_or_default();
        let opened = effects.iter().filter(|effect| matches!(effect, DeliveryEffect::OfferOpened(_))).count();
        if opened > 0 {
            if let Some(kept) = self.sagas.of(id, open.business) {
                kept.saga.wave_opened(open.wave.number);
            }
            self.delivery_changed(id, &effects);
        }
        Outcome::WaveOpened(u32::try_from(opened).unwrap_or(u32::MAX)).into()
    }

    /// Takes a driver's answer. The first accept that commits has the delivery.
    pub(super) fn answer_offer(&mut self, wish: &AnswerOffer) -> Answer {
        let (id, grace) = (wish.order, self.grace_of(wish.order));
        let answered = self.with_delivery(id, |delivery, drivers, _, now| {
            let of = delivery.delivery().id;
            let driver = drivers.get_mut(&wish.driver).ok_or(AnswerRefusal::NoSuchOffer)?;
            let accepted = match &wish.answer {
                OfferAnswer::Accept => delivery.accept(wish.offer, driver, grace, now)?,
                OfferAnswer::Decline { reason } => {
                    delivery.decline(wish.offer, driver, reason.clone(), now)?
                }
            };
            Ok((of, accepted))
        });
        let answered = answered.unwrap_or(Err(AnswerRefusal::NoSuchOffer));
        let outcome = answered.map(|(delivery, accepted)| {
            let already = match accepted {
                Accepted::Already => true,
                Accepted::Now(effects) => {
                    self.delivery_changed(id, &effects);
                    self.withdraw_if_full(wish.driver);
                    false
                }
            };
            DeliveryChanged { order: id, delivery, already }
        });
        Outcome::OfferAnswered(outcome).into()
    }

    /// Withdraws the open offers of a driver who has no room any more.
    pub(super) fn withdraw_if_full(&mut self, driver: UserId) {
        if self.deliveries.driver(driver).is_some_and(|driver| !driver.has_room()) {
            self.withdraw_offers_of(driver);
        }
    }

    /// Withdraws every open offer of a driver. Orders that are not of this batch are looked at again after it.
    pub(super) fn withdraw_offers_of(&mut self, driver: UserId) {
        for order in self.deliveries.asking(driver) {
            let effects = self.with_delivery(order, |delivery, _, _, now| delivery.withdraw(driver, now));
            self.delivery_changed(order, &effects.unwrap_or_default());
        }
        for offer in self.deliveries.withdraw_others(driver, self.now) {
            self.tell(told::closed(&offer, OfferEnd::Withdrawn, EventId::generate(), self.now));
            self.look_again.push(LookAgain { order: offer.order, business: offer.business });
        }
    }

    /// Follows offers that another transaction has withdrawn. A driver who may not work any more is looked at when it is fired next,
    /// which is at once.
    pub(super) fn look_again(&mut self, look: LookAgain) -> Answer {
        let LookAgain { order, business } = look;
        let effects = self.with_delivery(order, |delivery, _, _, now| delivery.follow_offers(now));
        self.delivery_changed(order, &effects.unwrap_or_default());
        let driver = self.deliveries.get(order).and_then(|one| one.delivery().driver);
        let driver = driver.and_then(|driver| self.deliveries.driver(driver));
        if driver.is_some_and(|driver| !driver.approved)
            && let Some(kept) = self.sagas.of(order, business)
            && kept.saga.look_at_driver(self.now)
        {
            self.sagas.changed(order);
        }
        Outcome::Done.into()
    }
}
