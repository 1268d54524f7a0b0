//! The watch over the driver of an order: on the way to the business, and to the customer.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::DeliveryStatus;
use crate::domain::dispatch::DispatchRules;
use crate::domain::ids::UserId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

use super::facts::{DeliveryFacts, Facts, SagaEffect};
use super::words::OpsAlarm;

/// How near a driver has to come for it to count as nearer, metres: more than a position is off.
const NEARER_M: f64 = 50.0;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    pub(super) since: Timestamp,
    pub(super) driver: UserId,
    pub(super) look_at: Timestamp,
    /// The nearest that the driver has come to the business, metres.
    nearest_m: Option<i64>,
    nearest_at: Timestamp,
    /// After the question: the delivery goes to somebody else then.
    asked_until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trip {
    pub(super) since: Timestamp,
    pub(super) driver: Option<UserId>,
    pub(super) look_at: Timestamp,
    pub(super) told_silent: bool,
    pub(super) told_late: bool,
}

impl Watch {
    pub(super) fn begin(driver: UserId, rules: &DispatchRules, now: Timestamp) -> Self {
        let look_at = now.plus(rules.look_every);
        Self { since: now, driver, look_at, nearest_m: None, nearest_at: now, asked_until: None }
    }

    /// Asks a driver who is silent or stays away, and takes the delivery from one who does not answer.
    pub(super) fn fire(
        &mut self,
        delivery: &DeliveryFacts,
        facts: &Facts<'_>,
        effects: &mut Vec<SagaEffect>,
    ) {
        let (now, rules) = (facts.now, &facts.clocks.dispatch);
        if self.look_at > now {
            return;
        }
        self.look_at = now.plus(rules.look_every);
        // Nobody could be heard while the hub was away.
        let since = facts.grace.map_or(self.since, |grace| self.since.max(grace.outage_ended_at));
        let is_there = delivery.status == DeliveryStatus::AtPickup;
        let heard_at =
            delivery.position.map(|position| position.at).filter(|_| !is_there).or(delivery.alive_at);
        let heard_at = heard_at.map_or(since, |at| at.max(since));
        if let Some(position) = delivery.position {
            let metres = position.location.metres_to(delivery.pickup);
            let is_nearer = self.nearest_m.is_none_or(|nearest| metres + NEARER_M < nearest as f64);
            if is_nearer || metres <= NEARER_M * 2.0 {
                (self.nearest_m, self.nearest_at) = (Some(metres.round() as i64), now);
            }
        }
        let is_silent = now.since(heard_at) > rules.silent;
        let is_stalled = !is_there && now.since(self.nearest_at.max(since)) > rules.stalled;
        match self.asked_until {
            _ if !is_silent && !is_stalled => self.asked_until = None,
            None => {
                self.asked_until = Some(now.plus(rules.asked));
                effects.push(SagaEffect::AskDriver);
            }
            Some(until) if until <= now => effects.push(SagaEffect::TakeFromDriver),
            Some(until) => self.look_at = self.look_at.min(until),
        }
    }
}

impl Trip {
    /// Tells operators, once each, of a driver with the food who is silent or late. Nothing is taken from them.
    pub(super) fn fire(
        &mut self,
        order: &Order,
        delivery: &DeliveryFacts,
        facts: &Facts<'_>,
        effects: &mut Vec<SagaEffect>,
    ) {
        let (now, rules) = (facts.now, &facts.clocks.dispatch);
        if self.look_at > now {
            return;
        }
        self.look_at = now.plus(rules.look_every.max(facts.clocks.held));
        let since = facts.grace.map_or(self.since, |grace| self.since.max(grace.outage_ended_at));
        let heard_at = delivery.position.map_or(since, |position| position.at.max(since));
        let is_silent = now.since(heard_at) > rules.silent_under_way;
        let dropoff = order.address.as_ref().map_or(delivery.pickup, |address| address.location);
        let way = rules.way(delivery.pickup.metres_to(dropoff) as u32);
        let is_late = now > self.since.plus(way).plus(rules.late_under_way);
        let is_news = (is_silent && !self.told_silent) || (is_late && !self.told_late);
        // One that is heard again can fall silent again.
        (self.told_silent, self.told_late) = (is_silent, self.told_late || is_late);
        if is_news {
            effects.push(SagaEffect::Alarm(OpsAlarm::DriverSilent));
        }
    }
}
