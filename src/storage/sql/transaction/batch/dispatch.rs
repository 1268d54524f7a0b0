//! Deliveries by drivers, as they follow their orders and their offers: the domain decides, and everything that follows becomes part of
//! the transaction.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids and codes")]

use std::collections::BTreeMap;

use crate::domain::business::Business;
use crate::domain::delivery::{DeliveryEffect, LeaveReason, OrderDelivery, told};
use crate::domain::dispatch::{Driver, Job};
use crate::domain::event::Posted as _;
use crate::domain::hold::HeldAction;
use crate::domain::ids::{DeliveryId, EventId, NotificationId, OrderId, UserId};
use crate::domain::order::{Order, Party, Status, Way};
use crate::domain::saga::{DeliveryFacts, OpsAlarm, SagaEffect};
use crate::domain::time::Timestamp;
use crate::storage::commands::LookDue;
use crate::storage::error::StoreError;
use crate::storage::sql::errors::TxError;

use super::Transaction;

/// The driver who has a delivery, to be changed.
pub(super) fn carrier<'d>(
    delivery: &OrderDelivery,
    drivers: &'d mut BTreeMap<UserId, Driver>,
) -> Option<&'d mut Driver> {
    drivers.get_mut(&delivery.delivery().driver?)
}

/// Four digits that nobody can guess.
fn new_code() -> Result<String, StoreError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|e| StoreError::Unavailable(format!("no random numbers: {e}")))?;
    Ok(format!("{:04}", u32::from_le_bytes(bytes) % 10_000))
}

impl Transaction<'_> {
    /// Changes the delivery of an order that was read. `None`: there is none.
    pub(super) fn with_delivery<T>(
        &mut self,
        id: OrderId,
        change: impl FnOnce(&mut OrderDelivery, &mut BTreeMap<UserId, Driver>, &Order, Timestamp) -> T,
    ) -> Option<T> {
        let order = self.orders.get(id)?;
        let (delivery, drivers) = self.deliveries.get_mut(id)?;
        Some(change(delivery, drivers, order, self.now))
    }

    /// The end of the time that everybody has after an outage in which offers of this delivery were open.
    pub(super) fn grace_of(&self, order: OrderId) -> Option<Timestamp> {
        let grace = self.facts.grace()?;
        let delivery = self.deliveries.get(order)?;
        delivery.was_asking_before(grace.outage_ended_at).then_some(grace.until)
    }

    /// After a move of an order: its delivery begins, or follows.
    pub(super) fn follow_move(&mut self, id: OrderId, party: Party) -> Result<(), TxError> {
        let Some(order) = self.orders.get(id).filter(|order| order.way() == Way::DriverDelivery) else {
            return Ok(());
        };
        if self.deliveries.get(id).is_some() {
            let effects = self.with_delivery(id, |delivery, drivers, order, now| {
                let driver = carrier(delivery, drivers);
                delivery.follow_order(order, party, driver, now)
            });
            self.delivery_changed(id, &effects.unwrap_or_default());
            return Ok(());
        }
        let is_live = matches!(order.status, Status::Accepted | Status::Preparing | Status::Ready);
        let business = self.catalog.of(order.business_id).0;
        if let Some(business) = business.filter(|_| is_live && order.delivery.is_none()) {
            let (new, zone) = (DeliveryId::generate(), business.zone.clone());
            let delivery = OrderDelivery::begin(new, order, zone, new_code()?, self.now);
            self.deliveries.put(id, delivery);
            self.delivery_changed(id, &[DeliveryEffect::Updated]);
        }
        Ok(())
    }

    /// After a change of a delivery, of its offers or of its order: the order and its saga follow, and everybody concerned is told.
    pub(super) fn delivery_changed(&mut self, id: OrderId, effects: &[DeliveryEffect]) {
        let grace = self.grace_of(id);
        let (Some(delivery), Some(order)) = (self.deliveries.get(id), self.orders.get_mut(id)) else {
            return;
        };
        let is_new = order.set_delivery(delivery.delivery());
        let until = delivery.offers_until(grace);
        // Of an order that ended long ago there is no saga any more.
        if !order.status.is_end() || self.sagas.get(id).is_some() {
            let (clocks, now) = (&self.clocks, self.now);
            if let Some(kept) = self.sagas.of(id, order.business_id) {
                let before = kept.saga.clone();
                kept.saga.delivery_changed(order, delivery.delivery(), until, clocks, now);
                if kept.saga != before {
                    self.sagas.changed(id);
                }
            }
        }
        if is_new {
            self.orders.touched(id);
        }
        for effect in effects {
            self.tell_of_delivery(id, *effect);
        }
    }

    fn tell_of_delivery(&mut self, id: OrderId, effect: DeliveryEffect) {
        let (Some(one), Some(order)) = (self.deliveries.get(id), self.orders.get(id)) else { return };
        let (delivery, now) = (one.delivery(), self.now);
        let announced = match effect {
            DeliveryEffect::Updated => {
                let driver = delivery.driver.and_then(|driver| self.deliveries.driver(driver));
                Some(told::updated(delivery, order, driver, EventId::generate, now))
            }
            DeliveryEffect::OfferOpened(offer) => {
                let business = self.catalog.of(order.business_id).0;
                let offer = one.offer(offer).zip(business);
                offer.map(|(offer, business)| told::opened(offer, order, business, EventId::generate(), now))
            }
            DeliveryEffect::OfferClosed(offer, reason) => {
                one.offer(offer).map(|offer| told::closed(offer, reason, EventId::generate(), now))
            }
            DeliveryEffect::Left(driver) => {
                self.left.push((id, driver));
                // Who still stands in the delivery is told with everybody.
                let is_told = delivery.driver == Some(driver);
                (!is_told).then(|| told::left(delivery, order, driver, EventId::generate(), now))
            }
            // They see it in their own state.
            DeliveryEffect::WentOffline(_) => None,
        };
        if let Some(announced) = announced {
            self.tell(announced);
        }
    }

    /// What is known of the delivery of an order that is fired.
    pub(super) fn delivery_facts(&self, id: OrderId, business: &Business) -> Option<DeliveryFacts> {
        let order = self.orders.get(id).filter(|order| order.way() == Way::DriverDelivery)?;
        let one = self.deliveries.get(order.id)?;
        let delivery = one.delivery();
        let driver = delivery.driver.and_then(|driver| self.deliveries.driver(driver));
        Some(DeliveryFacts {
            status: delivery.status,
            driver: delivery.driver,
            position: driver.and_then(|driver| driver.position),
            alive_at: driver.and_then(|driver| driver.alive_at),
            may_work: driver.is_none_or(|driver| driver.approved),
            pickup: business.location,
            offers_until: one.offers_until(self.grace_of(id)),
            held: self.facts.holds(HeldAction::Dispatch, business, self.now),
        })
    }

    /// Does what the search for a driver wants.
    pub(super) fn follow_search(&mut self, id: OrderId, effect: SagaEffect) {
        match effect {
            SagaEffect::ExpireOffers => self.expire_offers(id),
            SagaEffect::Look { wave } => self.looks.push((id, wave)),
            SagaEffect::NoDriver => self.no_driver(id),
            SagaEffect::AskDriver => self.ask_driver(id),
            SagaEffect::TakeFromDriver => self.take_from_driver(id),
            _ => {}
        }
    }

    /// What the pools have to know for the looks of this batch.
    pub(super) fn looks_due(&self) -> Vec<LookDue> {
        self.looks.iter().filter_map(|(order, wave)| self.look_due(*order, *wave)).collect()
    }

    fn look_due(&self, id: OrderId, wave: u32) -> Option<LookDue> {
        let (one, order) = (self.deliveries.get(id)?, self.orders.get(id)?);
        let (delivery, rules) = (one.delivery(), &self.clocks.dispatch);
        if !delivery.status.is_searched() || one.has_open_offers() {
            return None;
        }
        let pickup = self.catalog.of(order.business_id).0?.location;
        let dropoff = order.address.as_ref().map_or(pickup, |address| address.location);
        let job = Job {
            business: order.business_id,
            pickup,
            dropoff,
            ready_at: order.ready_at.unwrap_or(self.now),
            is_cash: told::to_collect(order) > 0,
            radius_m: rules.radius_of(wave),
            most: rules.size_of(wave),
            not: one.not_asked_again(),
            after: one.asked_in_vain(),
        };
        Some(LookDue {
            order: id,
            business: order.business_id,
            zone: delivery.zone.clone(),
            attempt: delivery.attempt,
            wave,
            payout_minor: rules.payout_in(&delivery.zone, pickup.metres_to(dropoff).round() as i64),
            job,
        })
    }

    /// Closes the offers whose time is over.
    fn expire_offers(&mut self, id: OrderId) {
        let (grace, clocks) = (self.grace_of(id), self.clocks.clone());
        let effects = self.with_delivery(id, |delivery, drivers, _, now| {
            delivery.expire(drivers, grace, &clocks.dispatch, now)
        });
        self.delivery_changed(id, &effects.unwrap_or_default());
    }

    /// Tells operators and the business that nobody brings the order yet.
    fn no_driver(&mut self, id: OrderId) {
        self.delivery_alarm(id, OpsAlarm::NoDriver, None);
        if let Some(order) = self.orders.get(id) {
            let news = told::no_driver(order, NotificationId::generate(), self.now);
            self.tell(news.announce(EventId::generate()));
        }
    }

    /// Tells operators of a delivery.
    pub(super) fn delivery_alarm(&mut self, id: OrderId, kind: OpsAlarm, difference_minor: Option<i64>) {
        if let Some((one, order)) = self.deliveries.get(id).zip(self.orders.get(id)) {
            self.alarm(told::alarm(kind, one.delivery(), order, difference_minor));
        }
    }

    /// Asks the driver whether they still come.
    fn ask_driver(&mut self, id: OrderId) {
        let (Some(one), Some(order)) = (self.deliveries.get(id), self.orders.get(id)) else { return };
        let delivery = one.delivery();
        if let Some(driver) = delivery.driver.and_then(|driver| self.deliveries.driver(driver)) {
            let by = self.now.plus(self.clocks.dispatch.asked);
            let asked = told::asked(delivery, order, driver, by, EventId::generate(), self.now);
            self.tell(asked);
        }
    }

    /// Takes the delivery from a driver who does not come, or may not any more.
    fn take_from_driver(&mut self, id: OrderId) {
        let left = self.with_delivery(id, |delivery, drivers, _, now| {
            let driver = carrier(delivery, drivers);
            let may_work = driver.as_ref().is_none_or(|driver| driver.approved);
            let reason = if may_work { LeaveReason::Stalled } else { LeaveReason::Suspended };
            delivery.leave((Party::System, None), reason, may_work, driver, now)
        });
        if let Some(Ok(effects)) = left {
            self.delivery_changed(id, &effects);
        }
    }
}
