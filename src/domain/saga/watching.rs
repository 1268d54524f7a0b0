//! The watch over the driver of an order: on the way to the business, and to the customer.

use std::time::Duration;

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

/// Longest pause between two looks at whether a driver comes nearer.
const NEARER_EVERY: Duration = Duration::from_secs(60);

/// Pause between two looks at whether a silent driver is heard again.
const AGAIN_EVERY: Duration = Duration::from_secs(60);

/// So long after a limit it is over.
const MOMENT: Duration = Duration::from_secs(1);

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

/// When the first of these limits is over, at most so much later. Each look is a write, and before then there is nothing to see.
fn next_look(limits: [Option<Timestamp>; 2], most: Duration, now: Timestamp) -> Timestamp {
    let first = limits.into_iter().flatten().map(|limit| limit.plus(MOMENT)).min();
    let last = now.plus(most.max(MOMENT));
    first.map_or(last, |first| first.min(last)).max(now.plus(MOMENT))
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
        if !delivery.may_work {
            self.look_at = now.plus(rules.look_every);
            effects.push(SagaEffect::TakeFromDriver);
            return;
        }
        if self.look_at > now {
            return;
        }
        // Nobody could be heard while the hub was away.
        let since = facts.grace.map_or(self.since, |grace| self.since.max(grace.outage_ended_at));
        let is_there = delivery.status == DeliveryStatus::AtPickup;
        let heard_at =
            delivery.position.map(|position| position.at).filter(|_| !is_there).or(delivery.alive_at);
        let heard_at = heard_at.map_or(since, |at| at.max(since));
        self.note_distance(delivery, now);
        let is_silent = now.since(heard_at) > rules.silent;
        let is_stalled = !is_there && now.since(self.nearest_at.max(since)) > rules.stalled;
        let nearer_by = (!is_there).then(|| self.nearest_at.max(since).plus(rules.stalled));
        self.look_at = next_look([Some(heard_at.plus(rules.silent)), nearer_by], NEARER_EVERY, now);
        match self.asked_until {
            _ if !is_silent && !is_stalled => self.asked_until = None,
            None => {
                let until = now.plus(rules.asked);
                (self.asked_until, self.look_at) = (Some(until), until);
                effects.push(SagaEffect::AskDriver);
            }
            Some(until) if until <= now => {
                self.look_at = now.plus(rules.look_every);
                effects.push(SagaEffect::TakeFromDriver);
            }
            Some(until) => self.look_at = until,
        }
    }

    /// Notes that the driver has come nearer, or is there.
    fn note_distance(&mut self, delivery: &DeliveryFacts, now: Timestamp) {
        let Some(position) = delivery.position else { return };
        let metres = position.location.metres_to(delivery.pickup);
        let is_nearer = self.nearest_m.is_none_or(|nearest| metres + NEARER_M < nearest as f64);
        if is_nearer || metres <= NEARER_M * 2.0 {
            (self.nearest_m, self.nearest_at) = (Some(metres.round() as i64), now);
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
        // One whose account is suspended is silent from then on.
        let is_out = !delivery.may_work;
        if self.look_at > now && (!is_out || self.told_silent) {
            return;
        }
        let since = facts.grace.map_or(self.since, |grace| self.since.max(grace.outage_ended_at));
        let heard_at = delivery.position.map_or(since, |position| position.at.max(since));
        let silent_by = heard_at.plus(rules.silent_under_way);
        let is_silent = is_out || silent_by < now;
        let dropoff = order.address.as_ref().map_or(delivery.pickup, |address| address.location);
        let way = rules.way(delivery.pickup.metres_to(dropoff) as u32);
        let late_by = self.since.plus(way).plus(rules.late_under_way);
        let is_late = late_by < now;
        let is_news = (is_silent && !self.told_silent) || (is_late && !self.told_late);
        // One that is heard again can fall silent again.
        (self.told_silent, self.told_late) = (is_silent, self.told_late || is_late);
        let due = [(!is_silent).then_some(silent_by), (!self.told_late).then_some(late_by)];
        let most = if is_silent { AGAIN_EVERY } else { rules.silent_under_way };
        self.look_at = next_look(due, most, now);
        if is_news {
            effects.push(SagaEffect::Alarm(OpsAlarm::DriverSilent));
        }
    }
}
