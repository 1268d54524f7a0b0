//! Deliveries and offers.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::delivery::{Delivery, Offer, Proof};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;

use super::values::{corrupt, micros, number, open, parse, seal, time};

/// The columns of [`DeliveryRow`], of `deliveries v`.
pub(in crate::storage::sql) const DELIVERY_COLUMNS: &str = "v.id, v.order_id, v.business_id, v.zone, v.status, v.driver_id, v.counts, \
     v.attempt, v.payout_minor, v.currency, v.code, v.code_tries, v.assigned_at, v.at_pickup_at, v.picked_up_at, v.at_dropoff_at, \
     v.ended_at, v.reason, v.proof, v.collected_minor, v.created_at, v.updated_at";

/// The columns of [`OfferRow`], of `offers f`.
pub(in crate::storage::sql) const OFFER_COLUMNS: &str = "f.id, f.delivery_id, f.order_id, f.business_id, f.driver_id, f.wave, f.attempt, \
     f.state, f.distance_m, f.payout_minor, f.stacked, f.reason, f.deadline_at, f.created_at, f.ended_at";

#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct DeliveryRow {
    pub(in crate::storage::sql) id: String,
    pub(in crate::storage::sql) order_id: String,
    business_id: String,
    zone: String,
    status: String,
    driver_id: Option<String>,
    counts: bool,
    attempt: i64,
    payout_minor: i64,
    currency: String,
    code: String,
    code_tries: i64,
    assigned_at: Option<i64>,
    at_pickup_at: Option<i64>,
    picked_up_at: Option<i64>,
    at_dropoff_at: Option<i64>,
    ended_at: Option<i64>,
    reason: Option<String>,
    proof: Option<String>,
    collected_minor: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

fn code_aad(row: &str) -> Aad<'_> {
    Aad { table: "deliveries", column: "code", row }
}

impl DeliveryRow {
    /// The row of a delivery; its code is written once, with [`Self::sealed`].
    pub(in crate::storage::sql) fn of(delivery: &Delivery) -> Self {
        let proof = delivery.proof.as_ref();
        Self {
            id: delivery.id.to_string(),
            order_id: delivery.order.to_string(),
            business_id: delivery.business.to_string(),
            zone: delivery.zone.clone(),
            status: delivery.status.to_string(),
            driver_id: delivery.driver.map(|driver| driver.to_string()),
            counts: delivery.counts,
            attempt: delivery.attempt,
            payout_minor: delivery.payout_minor,
            currency: delivery.currency.to_string(),
            code: String::new(),
            code_tries: delivery.code_tries.into(),
            assigned_at: micros(delivery.assigned_at),
            at_pickup_at: micros(delivery.at_pickup_at),
            picked_up_at: micros(delivery.picked_up_at),
            at_dropoff_at: micros(delivery.at_dropoff_at),
            ended_at: micros(delivery.ended_at),
            reason: delivery.reason.map(|reason| reason.to_string()),
            proof: proof
                .map(|proof| serde_json::to_string(proof).expect("a proof is a word and at most a text")),
            collected_minor: delivery.collected_minor,
            created_at: delivery.created_at.as_micros(),
            updated_at: delivery.updated_at.as_micros(),
        }
    }

    /// The row of a new delivery, with its code sealed.
    pub(in crate::storage::sql) fn sealed(delivery: &Delivery, cipher: &Cipher) -> Result<Self, StoreError> {
        let row = Self::of(delivery);
        let code = seal(cipher, code_aad(&row.id), &delivery.code)?;
        Ok(Self { code, ..row })
    }

    pub(in crate::storage::sql) fn into_delivery(self, cipher: &Cipher) -> Result<Delivery, StoreError> {
        let proof = self.proof.map(|proof| proof_of(&proof)).transpose()?;
        Ok(Delivery {
            code: open(cipher, code_aad(&self.id), &self.code)?,
            id: parse("deliveries.id", &self.id)?,
            order: parse("deliveries.order_id", &self.order_id)?,
            business: parse("deliveries.business_id", &self.business_id)?,
            zone: self.zone,
            status: parse("deliveries.status", &self.status)?,
            driver: self.driver_id.map(|driver| parse("deliveries.driver_id", &driver)).transpose()?,
            counts: self.counts,
            attempt: self.attempt,
            payout_minor: self.payout_minor,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("deliveries.currency"))?,
            code_tries: number("deliveries.code_tries", self.code_tries)?,
            assigned_at: time(self.assigned_at),
            at_pickup_at: time(self.at_pickup_at),
            picked_up_at: time(self.picked_up_at),
            at_dropoff_at: time(self.at_dropoff_at),
            ended_at: time(self.ended_at),
            reason: self.reason.map(|reason| parse("deliveries.reason", &reason)).transpose()?,
            proof,
            collected_minor: self.collected_minor,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

fn proof_of(json: &str) -> Result<Proof, StoreError> {
    serde_json::from_str(json).map_err(|_| corrupt("deliveries.proof"))
}

#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct OfferRow {
    id: String,
    delivery_id: String,
    order_id: String,
    business_id: String,
    driver_id: String,
    wave: i64,
    attempt: i64,
    state: String,
    distance_m: i64,
    payout_minor: i64,
    stacked: bool,
    reason: Option<String>,
    deadline_at: i64,
    created_at: i64,
    ended_at: Option<i64>,
}

impl OfferRow {
    pub(in crate::storage::sql) fn of(offer: &Offer) -> Self {
        Self {
            id: offer.id.to_string(),
            delivery_id: offer.delivery.to_string(),
            order_id: offer.order.to_string(),
            business_id: offer.business.to_string(),
            driver_id: offer.driver.to_string(),
            wave: offer.wave.into(),
            attempt: offer.attempt,
            state: offer.state.to_string(),
            distance_m: offer.distance_m,
            payout_minor: offer.payout_minor,
            stacked: offer.stacked,
            reason: offer.reason.clone(),
            deadline_at: offer.deadline_at.as_micros(),
            created_at: offer.created_at.as_micros(),
            ended_at: micros(offer.ended_at),
        }
    }

    pub(in crate::storage::sql) fn into_offer(self) -> Result<Offer, StoreError> {
        Ok(Offer {
            id: parse("offers.id", &self.id)?,
            delivery: parse("offers.delivery_id", &self.delivery_id)?,
            order: parse("offers.order_id", &self.order_id)?,
            business: parse("offers.business_id", &self.business_id)?,
            driver: parse("offers.driver_id", &self.driver_id)?,
            wave: number("offers.wave", self.wave)?,
            attempt: self.attempt,
            state: parse("offers.state", &self.state)?,
            distance_m: self.distance_m,
            payout_minor: self.payout_minor,
            stacked: self.stacked,
            reason: self.reason,
            deadline_at: Timestamp::from_micros(self.deadline_at),
            created_at: Timestamp::from_micros(self.created_at),
            ended_at: time(self.ended_at),
        })
    }
}
