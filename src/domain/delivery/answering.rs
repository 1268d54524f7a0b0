//! The answers of drivers to offers.

use serde::{Deserialize, Serialize};

use crate::domain::dispatch::Driver;
use crate::domain::ids::OfferId;
use crate::domain::order::Party;
use crate::domain::time::Timestamp;

use super::course::{DeliveryEffect, OrderDelivery};
use super::model::Offer;
use super::status::{OfferEnd, OfferState};
use super::table::DeliveryStep;

/// Why an offer is not answered as its driver wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerRefusal {
    /// No such offer of this driver.
    NoSuchOffer,
    /// Another driver has the delivery.
    Taken,
    /// The time was over.
    Expired,
    /// The hub took the offer back, or the driver had declined it.
    Withdrawn,
    /// The driver carries as much as they may.
    OverCapacity,
    /// The driver has accepted it, and gives the delivery back instead.
    Accepted,
}

/// The outcome of an answer that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It counts now, and this follows.
    Now(Vec<DeliveryEffect>),
    /// It was said before.
    Already,
}

/// An offer that is not refused to its driver.
#[derive(PartialEq, Eq)]
enum Standing {
    /// It can be accepted.
    Open,
    /// They have accepted it before.
    Theirs,
}

impl OrderDelivery {
    /// The driver of an offer takes the delivery. It is judged by the store's time, whether or not the offer was swept: at or after
    /// its end it has expired.
    ///
    /// # Errors
    /// Somebody else has it, it was too late, or they have no room; nothing has changed.
    pub fn accept(
        &mut self,
        id: OfferId,
        driver: &mut Driver,
        grace_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Accepted, AnswerRefusal> {
        let offer = self.offer(id).filter(|offer| offer.driver == driver.user);
        let offer = offer.ok_or(AnswerRefusal::NoSuchOffer)?;
        if self.verdict(offer, driver, grace_until, now)? == Standing::Theirs {
            return Ok(Accepted::Already);
        }
        let payout = offer.payout_minor;
        if !self.go(DeliveryStep::Assign, Party::Driver, now) {
            return Err(AnswerRefusal::Withdrawn);
        }
        let mut effects = Vec::new();
        self.close_offers(Some(id), OfferEnd::Taken, now, &mut effects);
        let mut offers = self.offers.iter_mut();
        let offer = offers.find(|offer| offer.id == id).expect("it was found above");
        (offer.state, offer.ended_at) = (OfferState::Accepted, Some(now));
        self.give_to(driver, payout, now);
        effects.push(DeliveryEffect::Updated);
        Ok(Accepted::Now(effects))
    }

    /// Whether an offer of this driver can be accepted.
    fn verdict(
        &self,
        offer: &Offer,
        driver: &Driver,
        grace_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Standing, AnswerRefusal> {
        match offer.state {
            OfferState::Accepted if self.delivery.driver == Some(driver.user) => {
                return Ok(Standing::Theirs);
            }
            OfferState::Taken => return Err(AnswerRefusal::Taken),
            OfferState::Expired => return Err(AnswerRefusal::Expired),
            // It was withdrawn because they took something else, or somebody has it by now.
            OfferState::Withdrawn if self.delivery.status.is_carried() => return Err(AnswerRefusal::Taken),
            OfferState::Withdrawn if !driver.has_room() => return Err(AnswerRefusal::OverCapacity),
            OfferState::Accepted | OfferState::Declined | OfferState::Withdrawn => {
                return Err(AnswerRefusal::Withdrawn);
            }
            OfferState::Open => {}
        }
        if !self.delivery.status.is_searched() {
            return Err(AnswerRefusal::Taken);
        }
        if !offer.is_open_at(now, grace_until) {
            return Err(AnswerRefusal::Expired);
        }
        if offer.attempt != self.delivery.attempt || !driver.approved {
            return Err(AnswerRefusal::Withdrawn);
        }
        if !driver.has_room() {
            return Err(AnswerRefusal::OverCapacity);
        }
        Ok(Standing::Open)
    }

    /// The driver of an offer does not want it. What is closed already stays as it is.
    ///
    /// # Errors
    /// They have accepted it, or it is not theirs; nothing has changed.
    pub fn decline(
        &mut self,
        id: OfferId,
        driver: &mut Driver,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, AnswerRefusal> {
        let offer = self.offers.iter_mut().find(|offer| offer.id == id && offer.driver == driver.user);
        let offer = offer.ok_or(AnswerRefusal::NoSuchOffer)?;
        match offer.state {
            OfferState::Open => {}
            OfferState::Accepted => return Err(AnswerRefusal::Accepted),
            OfferState::Declined | OfferState::Expired | OfferState::Taken | OfferState::Withdrawn => {
                return Ok(Accepted::Already);
            }
        }
        offer.close(OfferEnd::Declined, now);
        offer.reason = reason;
        driver.answered(now);
        let mut effects = vec![DeliveryEffect::OfferClosed(id, OfferEnd::Declined)];
        self.unoffer(now, &mut effects);
        Ok(Accepted::Now(effects))
    }

    /// The driver has it from now on. The status was set before, and the driver has room.
    pub(super) fn give_to(&mut self, driver: &mut Driver, payout_minor: i64, now: Timestamp) {
        driver.take(now);
        let delivery = &mut self.delivery;
        delivery.driver = Some(driver.user);
        delivery.counts = true;
        delivery.attempt += 1;
        delivery.payout_minor = payout_minor;
        delivery.assigned_at = Some(now);
        // What another driver reached is not reached by this one.
        if delivery.status.is_under_way() {
            delivery.at_dropoff_at = None;
        } else {
            delivery.at_pickup_at = None;
        }
        delivery.reason = None;
    }
}
