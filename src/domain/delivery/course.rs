//! The delivery of one order with its offers: every change of it goes through here.

use crate::domain::dispatch::Driver;
use crate::domain::ids::{DeliveryId, OfferId, UserId};
use crate::domain::order::{Order, Party, Status};
use crate::domain::time::Timestamp;

use super::model::{Delivery, Offer};
use super::status::{DeliveryStatus, LeaveReason, OfferEnd, OfferState, Step};
use super::table::{self, DeliveryStep};

/// What follows from a change of a delivery, in the same commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEffect {
    /// Its rooms hear how it stands.
    Updated,
    /// The driver of the offer hears it.
    OfferOpened(OfferId),
    /// The driver of the offer hears that it is over.
    OfferClosed(OfferId, OfferEnd),
    /// This driver has it no more: they leave the order's room and hear how it stands.
    Left(UserId),
    /// This driver was set offline for offers without an answer.
    WentOffline(UserId),
}

/// The delivery of one order and all of its offers.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderDelivery {
    pub(super) delivery: Delivery,
    pub(super) offers: Vec<Offer>,
    /// Drivers who did not answer an offer that is not among `offers`.
    ignored_by: Vec<UserId>,
}

impl OrderDelivery {
    /// The delivery of an order that drivers bring, searched for in `zone`. `code` is four digits.
    pub fn begin(id: DeliveryId, order: &Order, zone: String, code: String, now: Timestamp) -> Self {
        let delivery = Delivery {
            id,
            order: order.id,
            business: order.business_id,
            zone,
            status: DeliveryStatus::Unassigned,
            driver: None,
            counts: false,
            attempt: 0,
            payout_minor: 0,
            currency: order.currency,
            code,
            code_tries: 0,
            assigned_at: None,
            at_pickup_at: None,
            picked_up_at: None,
            at_dropoff_at: None,
            ended_at: None,
            reason: None,
            proof: None,
            collected_minor: None,
            created_at: now,
            updated_at: now,
        };
        Self { delivery, offers: Vec::new(), ignored_by: Vec::new() }
    }

    /// One as the store kept it. `ignored_by` are drivers who did not answer an offer that is not among `offers`.
    pub fn stored(delivery: Delivery, offers: Vec<Offer>, ignored_by: Vec<UserId>) -> Self {
        Self { delivery, offers, ignored_by }
    }

    /// The delivery as it is now.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Every offer of it, in the order in which they were made.
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The offer of this id.
    pub fn offer(&self, id: OfferId) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.id == id)
    }

    /// Whether an offer is open.
    pub fn has_open_offers(&self) -> bool {
        self.offers.iter().any(|offer| offer.state == OfferState::Open)
    }

    /// Whether this driver is not asked again: they declined it, or had it and gave it back or lost it.
    pub fn is_not_for(&self, driver: UserId) -> bool {
        let is_final = |offer: &&Offer| matches!(offer.state, OfferState::Declined | OfferState::Accepted);
        self.offers.iter().filter(is_final).any(|offer| offer.driver == driver)
    }

    /// Drivers who did not answer when they were asked.
    pub fn asked_in_vain(&self) -> Vec<UserId> {
        let expired = self.offers.iter().filter(|offer| offer.state == OfferState::Expired);
        let mut drivers: Vec<UserId> = expired.map(|offer| offer.driver).collect();
        drivers.extend(&self.ignored_by);
        drivers.sort_unstable();
        drivers.dedup();
        drivers
    }

    /// Whether this driver ever had it.
    pub fn was_of(&self, driver: UserId) -> bool {
        let had = |offer: &Offer| offer.driver == driver && offer.state == OfferState::Accepted;
        self.delivery.driver == Some(driver) || self.offers.iter().any(had)
    }

    /// Goes where a row of the table leads, if there is one.
    pub(super) fn go(&mut self, step: DeliveryStep, party: Party, now: Timestamp) -> bool {
        let Some(row) = table::find(self.delivery.status, step, party) else { return false };
        self.set_status(row.to, now);
        true
    }

    pub(super) fn set_status(&mut self, to: DeliveryStatus, now: Timestamp) {
        let delivery = &mut self.delivery;
        (delivery.status, delivery.updated_at) = (to, now);
        delivery.ended_at = to.is_end().then_some(delivery.ended_at.unwrap_or(now));
    }

    /// Closes every open offer but this one.
    pub(super) fn close_offers(
        &mut self,
        but: Option<OfferId>,
        reason: OfferEnd,
        now: Timestamp,
        effects: &mut Vec<DeliveryEffect>,
    ) {
        for offer in &mut self.offers {
            if offer.state == OfferState::Open && Some(offer.id) != but {
                offer.close(reason, now);
                effects.push(DeliveryEffect::OfferClosed(offer.id, reason));
            }
        }
    }

    /// Frees the capacity of the driver who has it.
    pub(super) fn release(&mut self, driver: Option<&mut Driver>, now: Timestamp) {
        let counted = std::mem::take(&mut self.delivery.counts);
        if let Some(driver) = driver.filter(|driver| counted && Some(driver.user) == self.delivery.driver) {
            driver.release(now);
        }
    }

    /// Ends the delivery before it was picked up: the order has ended, or is brought another way. What has ended or is under way stays.
    pub fn cancel(
        &mut self,
        party: Party,
        reason: LeaveReason,
        driver: Option<&mut Driver>,
        now: Timestamp,
    ) -> Vec<DeliveryEffect> {
        if !self.go(DeliveryStep::Cancel, party, now) {
            return Vec::new();
        }
        let mut effects = Vec::new();
        self.delivery.attempt += 1;
        self.delivery.reason = Some(reason);
        self.close_offers(None, OfferEnd::Withdrawn, now, &mut effects);
        self.release(driver, now);
        effects.extend(self.delivery.driver.map(DeliveryEffect::Left));
        effects.push(DeliveryEffect::Updated);
        // From the business on the way was made: the payout stands.
        if self.delivery.at_pickup_at.is_none() {
            self.delivery.payout_minor = 0;
        }
        effects
    }

    /// Follows the order after it was moved otherwise than by a step: by people with PATCH, or by the hub. It is idempotent. `driver` is
    /// the one who has the delivery.
    pub fn follow_order(
        &mut self,
        order: &Order,
        party: Party,
        driver: Option<&mut Driver>,
        now: Timestamp,
    ) -> Vec<DeliveryEffect> {
        use DeliveryStatus::{
            Assigned, AtDropoff, AtPickup, Delivered, Failed, Offered, PickedUp, Unassigned,
        };
        let mut effects = Vec::new();
        match (order.status, self.delivery.status) {
            (Status::Cancelled | Status::Rejected, _) => {
                return self.cancel(party, LeaveReason::OrderEnded, driver, now);
            }
            // An operator says that it is under way: with whoever has it.
            (Status::PickedUp, Unassigned | Offered | Assigned | AtPickup) => {
                self.delivery.attempt += 1;
                self.close_offers(None, OfferEnd::Withdrawn, now, &mut effects);
                self.delivery.picked_up_at = Some(now);
                self.set_status(PickedUp, now);
            }
            (Status::PickedUp, Delivered) => self.correct(driver, now),
            (Status::Delivered, PickedUp | AtDropoff) => {
                self.release(driver, now);
                self.set_status(Delivered, now);
            }
            (Status::Failed, PickedUp | AtDropoff | Delivered) => {
                self.release(driver, now);
                self.set_status(Failed, now);
            }
            _ => return effects,
        }
        effects.push(DeliveryEffect::Updated);
        effects
    }

    /// It was not delivered after all: whoever had it has it again, and it counts for them if they have room.
    fn correct(&mut self, driver: Option<&mut Driver>, now: Timestamp) {
        self.go(DeliveryStep::Correct, Party::Admin, now);
        self.delivery.ended_at = None;
        if let Some(driver) = driver.filter(|driver| driver.has_room()) {
            driver.take(now);
            self.delivery.counts = true;
        }
    }

    /// The steps that a party may report now.
    pub fn reportable(&self, party: Party) -> Vec<Step> {
        table::reportable(self.delivery.status, party)
    }
}

impl Offer {
    /// Closes it for this reason.
    pub fn close(&mut self, reason: OfferEnd, now: Timestamp) {
        (self.state, self.ended_at) = (reason.state(), Some(now));
    }
}
