//! Changes of hands: an operator gives a delivery to a driver, and it leaves one.

use serde::{Deserialize, Serialize};

use crate::domain::dispatch::{DispatchRules, Driver};
use crate::domain::ids::{OfferId, UserId};
use crate::domain::order::{Order, Party};
use crate::domain::time::Timestamp;

use super::course::{DeliveryEffect, OrderDelivery};
use super::model::{Offer, OfferTerms};
use super::status::{DeliveryStatus, LeaveReason, OfferEnd, OfferState};
use super::table::DeliveryStep;

/// Why a delivery is not given to a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignRefusal {
    /// No such delivery.
    NoSuchDelivery,
    /// No such driver who may work.
    NoSuchDriver,
    /// The driver carries as much as they may.
    OverCapacity,
    /// It has ended.
    Ended,
}

/// Why a delivery does not leave its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveRefusal {
    /// No such delivery of this driver.
    NoSuchDelivery,
    /// It is with nobody, under way, or has ended.
    NotNow {
        /// Where it stands.
        from: DeliveryStatus,
    },
}

impl OrderDelivery {
    /// An operator gives the delivery to a driver, whatever the ranking, the radius and whether they are on.
    ///
    /// # Errors
    /// The driver has no room or may not work, or the delivery has ended; nothing has changed.
    pub fn assign(
        &mut self,
        driver: &mut Driver,
        former: Option<&mut Driver>,
        payout_minor: i64,
        offer: OfferId,
        now: Timestamp,
    ) -> Result<Vec<DeliveryEffect>, AssignRefusal> {
        if !driver.approved {
            return Err(AssignRefusal::NoSuchDriver);
        }
        let former_user = self.delivery.driver.filter(|_| self.delivery.status.is_carried());
        if former_user == Some(driver.user) {
            return Ok(Vec::new());
        }
        if !driver.has_room() {
            return Err(AssignRefusal::OverCapacity);
        }
        let step =
            if self.delivery.status.is_under_way() { DeliveryStep::HandOver } else { DeliveryStep::Assign };
        if !self.go(step, Party::Admin, now) {
            return Err(AssignRefusal::Ended);
        }
        let mut effects = Vec::new();
        self.close_offers(None, OfferEnd::Withdrawn, now, &mut effects);
        effects.extend(former_user.map(DeliveryEffect::Left));
        self.release(former, now);
        self.give_to(driver, payout_minor, now);
        // Kept like an offer that was accepted, so that whoever had it is known.
        let terms = OfferTerms { wave: 0, distance_m: 0, payout_minor, stacked: false, deadline_at: now };
        let kept = Offer::open(offer, &self.delivery, driver.user, terms, now);
        self.offers.push(Offer { state: OfferState::Accepted, ended_at: Some(now), ..kept });
        effects.push(DeliveryEffect::Updated);
        Ok(effects)
    }

    /// The delivery leaves the driver who has it, before it was picked up. `is_fault`: it counts in the driver's history.
    ///
    /// # Errors
    /// Nobody has it, or it is under way: only an operator gives that to somebody else.
    pub fn leave(
        &mut self,
        (party, user): (Party, Option<UserId>),
        reason: LeaveReason,
        is_fault: bool,
        driver: Option<&mut Driver>,
        now: Timestamp,
    ) -> Result<Vec<DeliveryEffect>, LeaveRefusal> {
        if party == Party::Driver && self.delivery.driver != user {
            return Err(LeaveRefusal::NoSuchDelivery);
        }
        let from = self.delivery.status;
        if !self.go(DeliveryStep::Leave, party, now) {
            return Err(LeaveRefusal::NotNow { from });
        }
        let former = self.delivery.driver;
        if let Some(driver) = driver {
            if is_fault {
                driver.ended_one(false);
            }
            self.release(Some(driver), now);
        }
        let delivery = &mut self.delivery;
        delivery.attempt += 1;
        delivery.reason = Some(reason);
        (delivery.driver, delivery.counts, delivery.payout_minor) = (None, false, 0);
        (delivery.assigned_at, delivery.at_pickup_at) = (None, None);
        let mut effects: Vec<DeliveryEffect> = former.map(DeliveryEffect::Left).into_iter().collect();
        effects.push(DeliveryEffect::Updated);
        Ok(effects)
    }

    /// Whether the driver may leave without fault: the business is late.
    pub fn is_business_late(&self, order: &Order, rules: &DispatchRules, now: Timestamp) -> bool {
        let came = self.delivery.at_pickup_at;
        came.is_some_and(|came| now >= came.max(order.ready_at.unwrap_or(came)).plus(rules.wait))
    }
}
