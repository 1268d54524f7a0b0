//! Waves of offers: opened, run out, withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dispatch::{DispatchRules, Driver};
use crate::domain::ids::{OfferId, UserId};
use crate::domain::order::Party;
use crate::domain::time::Timestamp;

use super::course::{DeliveryEffect, OrderDelivery};
use super::model::{Offer, OfferTerms};
use super::status::{OfferEnd, OfferState};
use super::table::DeliveryStep;

/// A driver whom a pool proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The account of the driver.
    pub driver: UserId,
    /// From their last position to the business, metres.
    pub distance_m: i64,
    /// Whether it goes well with what they carry.
    pub stacked: bool,
}

/// A wave that a pool proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Its number, from 1.
    pub number: u32,
    /// The attempt of the delivery that it was ranked for.
    pub attempt: i64,
    /// The drivers, the best first.
    pub candidates: Vec<Candidate>,
    /// What each of them would get, in minor units.
    pub payout_minor: i64,
    /// Whether the driver takes cash.
    pub is_cash: bool,
}

impl OrderDelivery {
    /// Opens offers for those of a wave who can be asked by what the store knows of them. Nothing happens when the delivery has moved on since
    /// it was ranked, or offers are open. `asked` are drivers who have an open offer of another delivery.
    pub fn open_wave(
        &mut self,
        wave: &Wave,
        drivers: &BTreeMap<UserId, Driver>,
        asked: &BTreeSet<UserId>,
        mut new_id: impl FnMut() -> OfferId,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Vec<DeliveryEffect> {
        let delivery = &self.delivery;
        if !delivery.status.is_searched() || delivery.attempt != wave.attempt || self.has_open_offers() {
            return Vec::new();
        }
        let is_broadcast = rules.is_broadcast(wave.number);
        let can_be_asked = |candidate: &&Candidate| {
            let driver = drivers.get(&candidate.driver);
            driver.is_some_and(|driver| driver.can_be_asked(&delivery.zone, wave.is_cash, rules, now))
                && (is_broadcast || !asked.contains(&candidate.driver))
                && !self.is_not_for(candidate.driver)
        };
        let chosen: Vec<Candidate> =
            wave.candidates.iter().filter(can_be_asked).take(rules.size_of(wave.number)).copied().collect();
        if chosen.is_empty() || !self.go(DeliveryStep::Offer, Party::System, now) {
            return Vec::new();
        }
        self.delivery.attempt += 1;
        let mut effects = Vec::with_capacity(chosen.len() + 1);
        for Candidate { driver, distance_m, stacked } in chosen {
            let (number, payout_minor, deadline_at) = (wave.number, wave.payout_minor, now.plus(rules.offer));
            let terms = OfferTerms { wave: number, distance_m, payout_minor, stacked, deadline_at };
            let offer = Offer::open(new_id(), &self.delivery, driver, terms, now);
            effects.push(DeliveryEffect::OfferOpened(offer.id));
            self.offers.push(offer);
        }
        effects.push(DeliveryEffect::Updated);
        effects
    }

    /// Closes the offers whose time is over at `now`. A driver who carries nothing and did not answer has ignored it, unless the hub
    /// was away in that time: `grace_until` is the end of the time that everybody has after an outage.
    pub fn expire(
        &mut self,
        drivers: &mut BTreeMap<UserId, Driver>,
        grace_until: Option<Timestamp>,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Vec<DeliveryEffect> {
        let mut effects = Vec::new();
        for offer in &mut self.offers {
            if offer.state != OfferState::Open || offer.is_open_at(now, grace_until) {
                continue;
            }
            offer.close(OfferEnd::Expired, now);
            effects.push(DeliveryEffect::OfferClosed(offer.id, OfferEnd::Expired));
            if grace_until.is_none()
                && let Some(driver) = drivers.get_mut(&offer.driver)
                && driver.ignored_offer(rules, now)
            {
                effects.push(DeliveryEffect::WentOffline(driver.user));
            }
        }
        self.unoffer(now, &mut effects);
        effects
    }

    /// Closes the open offers of a driver who gets no more, or has no room.
    pub fn withdraw(&mut self, driver: UserId, now: Timestamp) -> Vec<DeliveryEffect> {
        let mut effects = Vec::new();
        let open = self.offers.iter_mut().filter(|offer| offer.state == OfferState::Open);
        for offer in open.filter(|offer| offer.driver == driver) {
            offer.close(OfferEnd::Withdrawn, now);
            effects.push(DeliveryEffect::OfferClosed(offer.id, OfferEnd::Withdrawn));
        }
        self.unoffer(now, &mut effects);
        effects
    }

    /// Follows offers that were closed elsewhere, because their driver took something else or went off. It is idempotent.
    pub fn follow_offers(&mut self, now: Timestamp) -> Vec<DeliveryEffect> {
        let mut effects = Vec::new();
        self.unoffer(now, &mut effects);
        effects
    }

    /// Whether somebody was asked before `at` and has not answered.
    pub fn was_asking_before(&self, at: Timestamp) -> bool {
        self.offers.iter().any(|offer| offer.state == OfferState::Open && offer.created_at < at)
    }

    /// Drivers who are not asked again.
    pub fn not_asked_again(&self) -> Vec<UserId> {
        let mut drivers: Vec<UserId> = self.offers.iter().map(|offer| offer.driver).collect();
        drivers.sort_unstable();
        drivers.dedup();
        drivers.retain(|driver| self.is_not_for(*driver));
        drivers
    }

    /// When the last open offer ends; `None`: none is open.
    pub fn offers_until(&self, grace_until: Option<Timestamp>) -> Option<Timestamp> {
        let open = self.offers.iter().filter(|offer| offer.state == OfferState::Open);
        open.map(|offer| offer.ends_at(grace_until)).max()
    }

    /// Says that nobody is asked any more, once no offer is open. Whether that is news.
    pub(super) fn unoffer(&mut self, now: Timestamp, effects: &mut Vec<DeliveryEffect>) {
        if !self.has_open_offers() && self.go(DeliveryStep::Unoffer, Party::System, now) {
            self.delivery.attempt += 1;
            effects.push(DeliveryEffect::Updated);
        }
    }
}
