//! The search for a driver of an order, and the watch over the one who has it.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::Delivery;
use crate::domain::dispatch::{DispatchRules, GiveUp};
use crate::domain::ids::UserId;
use crate::domain::order::{Order, Status};
use crate::domain::time::Timestamp;

use super::facts::{DeliveryFacts, Facts, SagaEffect};
use super::watching::{Trip, Watch};
use super::words::OpsAlarm;

/// What waits for a time in the life of one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    stage: Stage,
    /// When it is given up; operators can set it.
    give_up_at: Timestamp,
    /// A driver had it and left: the search has begun anew.
    #[serde(default)]
    restarted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Nobody has it.
    Searching(Searching),
    /// A driver is on the way to the business, or there.
    Coming(Watch),
    /// A driver is on the way to the customer.
    UnderWay(Trip),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Searching {
    /// The last wave that was opened; 0 before the first.
    wave: u32,
    /// When somebody is looked for; `None` while offers are open.
    look_at: Option<Timestamp>,
    /// Whether that was done already: then nobody could be asked.
    #[serde(default)]
    looked: bool,
    /// When the open offers end.
    offers_until: Option<Timestamp>,
    /// When operators and the business are told that nobody has it.
    late_at: Option<Timestamp>,
}

impl Search {
    /// The search for a driver of an order that was just accepted, or that lost its driver.
    fn begin(order: &Order, rules: &DispatchRules, now: Timestamp) -> Self {
        let ready_at = order.ready_at.unwrap_or(now);
        let start_at = if order.status == Status::Ready { now } else { rules.start_at(ready_at).max(now) };
        let searching = Searching::begin(start_at, ready_at, rules, now);
        let give_up_at = ready_at.max(now).plus(rules.give_up);
        Self { stage: Stage::Searching(searching), give_up_at, restarted: false }
    }

    /// The search after a change of the delivery, of its offers or of the order. `None`: nothing is to be done for it any more.
    pub(super) fn follow(
        known: Option<Self>,
        order: &Order,
        delivery: &Delivery,
        offers_until: Option<Timestamp>,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Option<Self> {
        if delivery.status.is_end() || order.status.is_end() {
            return None;
        }
        let mut search = known.unwrap_or_else(|| Self::begin(order, rules, now));
        match (&mut search.stage, delivery.driver) {
            (stage, driver) if delivery.status.is_under_way() => {
                if !matches!(stage, Stage::UnderWay(trip) if trip.driver == driver) {
                    let look_at = now.plus(rules.look_every);
                    let (told_silent, told_late) = (false, false);
                    *stage = Stage::UnderWay(Trip { since: now, driver, look_at, told_silent, told_late });
                }
            }
            (stage, Some(driver)) if delivery.status.is_carried() => {
                if !matches!(stage, Stage::Coming(watch) if watch.driver == driver) {
                    *stage = Stage::Coming(Watch::begin(driver, rules, now));
                }
            }
            (Stage::Searching(searching), _) => {
                match offers_until {
                    Some(until) => (searching.offers_until, searching.look_at) = (Some(until), None),
                    // The last offer was answered or closed: the next wave at once.
                    None if searching.offers_until.take().is_some() => searching.look_at = Some(now),
                    None => {}
                }
                search.ready_by(order, rules, now);
            }
            // It left its driver: it is offered anew at once, and is given up no earlier than a search takes.
            (_, _) => search = search.begin_anew(order, rules, now),
        }
        Some(search)
    }

    /// The search after it left a driver.
    fn begin_anew(self, order: &Order, rules: &DispatchRules, now: Timestamp) -> Self {
        let first = Self::begin(order, rules, now);
        let ready_at = order.ready_at.unwrap_or(now);
        // The food may be ready later than when the driver got it, and nothing is given up without a search.
        let again = ready_at.plus(rules.give_up).max(now.plus(rules.late));
        let at_least = if self.restarted { again } else { first.give_up_at };
        let stage = Stage::Searching(Searching::begin(now, ready_at, rules, now));
        Self { stage, give_up_at: self.give_up_at.max(at_least), restarted: true }
    }

    /// Takes the order's present time to be ready: a search that has not looked yet begins by it, and at once when the food is ready.
    /// So does the time at which it is late, until that was told.
    fn ready_by(&mut self, order: &Order, rules: &DispatchRules, now: Timestamp) {
        let Stage::Searching(searching) = &mut self.stage else { return };
        let has_begun = searching.wave > 0 || searching.looked || self.restarted;
        let ready_at = order.ready_at.unwrap_or(now);
        let is_ready = order.status == Status::Ready;
        if has_begun || searching.look_at.is_none() {
            // It looks every few seconds already.
            let soon = ready_at.max(now.plus(rules.look_every));
            searching.late_at = searching.late_at.map(|at| at.min(soon));
        } else {
            let start_at = if is_ready { now } else { rules.start_at(ready_at).max(now) };
            searching.look_at = Some(start_at);
            searching.late_at = searching.late_at.map(|_| late_at(start_at, ready_at, rules, now));
        }
        self.give_up_at = self.give_up_at.max(ready_at.plus(rules.give_up));
    }

    /// A wave was opened: its number.
    pub(super) fn opened(&mut self, wave: u32) {
        if let Stage::Searching(searching) = &mut self.stage {
            searching.wave = searching.wave.max(wave);
        }
    }

    /// An operator says until when it is searched.
    pub(super) fn extend(&mut self, until: Timestamp) {
        self.give_up_at = until;
    }

    /// When the search is given up, while there is one.
    pub fn gives_up_at(&self) -> Option<Timestamp> {
        matches!(self.stage, Stage::Searching(_)).then_some(self.give_up_at)
    }

    /// The driver who has it.
    pub(super) fn driver(&self) -> Option<UserId> {
        match &self.stage {
            Stage::Searching(_) => None,
            Stage::Coming(watch) => Some(watch.driver),
            Stage::UnderWay(trip) => trip.driver,
        }
    }

    /// Looks at the driver who has it at once. Whether anybody has it.
    pub(super) fn look_at_driver(&mut self, now: Timestamp) -> bool {
        match &mut self.stage {
            Stage::Searching(_) => return false,
            Stage::Coming(watch) => watch.look_at = watch.look_at.min(now),
            Stage::UnderWay(trip) => trip.look_at = trip.look_at.min(now),
        }
        true
    }

    pub(super) fn next_due(&self) -> Timestamp {
        match &self.stage {
            Stage::Searching(Searching { look_at, offers_until, late_at, .. }) => {
                let times = [*look_at, *offers_until, *late_at, Some(self.give_up_at)];
                times.into_iter().flatten().min().unwrap_or(self.give_up_at)
            }
            Stage::Coming(watch) => watch.look_at,
            Stage::UnderWay(trip) => trip.look_at,
        }
    }

    /// Does what is due. Whether the order ends, because nobody brings it.
    pub(super) fn fire(
        &mut self,
        order: &Order,
        delivery: &DeliveryFacts,
        facts: &Facts<'_>,
        effects: &mut Vec<SagaEffect>,
    ) -> bool {
        let rules = &facts.clocks.dispatch;
        match &mut self.stage {
            Stage::Searching(searching) => {
                let since = order.answered_at.unwrap_or(order.created_at);
                if self.give_up_at <= facts.now {
                    match facts.after_outage(self.give_up_at, since).or_else(|| facts.held()) {
                        Some(later) => self.give_up_at = later,
                        // Nobody is looked for any more.
                        None if rules.on_give_up == GiveUp::Cancel => return true,
                        None => {
                            self.give_up_at = facts.now.plus(rules.held_every);
                            effects.push(SagaEffect::Alarm(OpsAlarm::NoDriver));
                        }
                    }
                }
                searching.fire(delivery, facts, effects);
            }
            Stage::Coming(watch) => watch.fire(delivery, facts, effects),
            Stage::UnderWay(trip) => trip.fire(order, delivery, facts, effects),
        }
        false
    }
}

/// When operators and the business are told that nobody has it.
fn late_at(start_at: Timestamp, ready_at: Timestamp, rules: &DispatchRules, now: Timestamp) -> Timestamp {
    start_at.plus(rules.late).min(ready_at.max(start_at)).max(now.plus(rules.look_every))
}

impl Searching {
    fn begin(start_at: Timestamp, ready_at: Timestamp, rules: &DispatchRules, now: Timestamp) -> Self {
        Self {
            wave: 0,
            look_at: Some(start_at),
            looked: false,
            offers_until: None,
            late_at: Some(late_at(start_at, ready_at, rules, now)),
        }
    }

    fn fire(&mut self, delivery: &DeliveryFacts, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let (now, rules) = (facts.now, &facts.clocks.dispatch);
        if self.offers_until.is_some_and(|until| until <= now) {
            match delivery.offers_until {
                // After an outage they have longer.
                Some(until) if until > now => self.offers_until = Some(until),
                open => {
                    self.offers_until = None;
                    self.look_at = Some(now);
                    effects.extend(open.map(|_| SagaEffect::ExpireOffers));
                }
            }
        }
        if self.look_at.is_some_and(|at| at <= now) {
            if delivery.held {
                self.look_at = Some(now.plus(facts.clocks.held));
            } else {
                // Until a wave is opened, which the pool of the zone has to propose.
                self.look_at = Some(now.plus(rules.look_every));
                self.looked = true;
                effects.push(SagaEffect::Look { wave: self.wave + 1 });
            }
        }
        if self.late_at.take_if(|at| *at <= now).is_some() {
            effects.push(SagaEffect::NoDriver);
        }
    }
}
