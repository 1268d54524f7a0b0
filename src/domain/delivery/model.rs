//! Deliveries and offers as the store keeps them.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BusinessId, DeliveryId, OfferId, OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::status::{DeliveryStatus, LeaveReason, OfferState};

/// Most tries to name the code of a delivery; after them a photo or an operator is needed.
pub(super) const MAX_CODE_TRIES: u8 = 5;

/// The delivery of one order by drivers of the hub.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// An id that begins with `dlv_`.
    pub id: DeliveryId,
    /// Its order. An order has one delivery, however often it changes hands.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The zone in which a driver is searched.
    pub zone: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Who has it, or had it at its end.
    pub driver: Option<UserId>,
    /// Whether it counts for the capacity of that driver.
    pub counts: bool,
    /// Counts waves of offers and changes of hands: what was decided on an older one changes nothing.
    pub attempt: i64,
    /// What the driver gets, in minor units; fixed by the offer. Zero until a driver has it.
    pub payout_minor: i64,
    /// The currency of the payout and of the order.
    pub currency: Currency,
    /// Four digits that the customer tells the driver.
    pub code: String,
    /// Wrong codes that were named.
    pub code_tries: u8,
    /// When a driver last got it.
    pub assigned_at: Option<Timestamp>,
    /// When that driver came to the business.
    pub at_pickup_at: Option<Timestamp>,
    /// When it was taken over.
    pub picked_up_at: Option<Timestamp>,
    /// When the driver came to the customer's.
    pub at_dropoff_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it last left a driver, failed or was cancelled, as a word.
    pub reason: Option<LeaveReason>,
    /// What proves that it arrived.
    pub proof: Option<Proof>,
    /// Cash that the driver took, in minor units.
    pub collected_minor: Option<i64>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without its code.
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("order", &self.order)
            .field("status", &self.status)
            .field("driver", &self.driver)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// What proves that an order arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The code of the delivery was named.
    Code,
    /// A reference to a photo, at most 200 characters.
    Photo(String),
}

string_enum! {
    /// The proof that a delivery needs.
    #[derive(Default)]
    pub enum ProofRule {
        /// No proof at all.
        #[default]
        None = "none",
        /// The customer's code.
        Code = "code",
        /// A reference to a photo.
        Photo = "photo",
        /// One of both.
        Either = "either",
    }
}

/// An offer of a delivery to one driver: a lease on being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// An id that begins with `off_`.
    pub id: OfferId,
    /// The delivery that is offered.
    pub delivery: DeliveryId,
    /// The order that is delivered.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// Who is asked.
    pub driver: UserId,
    /// The wave it belongs to, from 1.
    pub wave: u32,
    /// The attempt of the delivery in which it was made: the fence.
    pub attempt: i64,
    /// How it stands.
    pub state: OfferState,
    /// From the driver to the business, metres.
    pub distance_m: i64,
    /// What the driver would get, in minor units.
    pub payout_minor: i64,
    /// Whether it goes well with what the driver has: the same kitchen, the same direction.
    pub stacked: bool,
    /// Why the driver does not want it.
    pub reason: Option<String>,
    /// From then on it cannot be accepted, by the store's time.
    pub deadline_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was answered or closed.
    pub ended_at: Option<Timestamp>,
}

/// The terms of a new offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferTerms {
    pub(super) wave: u32,
    pub(super) distance_m: i64,
    pub(super) payout_minor: i64,
    pub(super) stacked: bool,
    pub(super) deadline_at: Timestamp,
}

impl Offer {
    /// An open offer of a delivery to a driver, in the present attempt.
    pub(super) fn open(
        id: OfferId,
        delivery: &Delivery,
        driver: UserId,
        terms: OfferTerms,
        now: Timestamp,
    ) -> Self {
        let OfferTerms { wave, distance_m, payout_minor, stacked, deadline_at } = terms;
        Self {
            id,
            delivery: delivery.id,
            order: delivery.order,
            business: delivery.business,
            driver,
            wave,
            attempt: delivery.attempt,
            state: OfferState::Open,
            distance_m,
            payout_minor,
            stacked,
            reason: None,
            deadline_at,
            created_at: now,
            ended_at: None,
        }
    }

    /// Whether it can be accepted at `now`; `grace_until` is the end of the grace for those who could not answer in an outage.
    pub fn is_open_at(&self, now: Timestamp, grace_until: Option<Timestamp>) -> bool {
        self.state == OfferState::Open && now < self.ends_at(grace_until)
    }

    /// When it ends; after an outage no earlier than the grace.
    pub fn ends_at(&self, grace_until: Option<Timestamp>) -> Timestamp {
        grace_until.map_or(self.deadline_at, |until| until.max(self.deadline_at))
    }
}
