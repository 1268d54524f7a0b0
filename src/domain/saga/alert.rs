//! The alert ladder of an order that waits for an answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::order::{Fulfilment, Order, Party};
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::facts::{Facts, Ring, SagaEffect};
use super::terms::SagaTerms;
use super::words::{Channel, OpsAlarm, RingKind, Rung};

string_enum! {
    /// The ladder an order goes by.
    pub enum AlertRule {
        /// Rings, uses every channel, and is cancelled at its deadline.
        Full = "full",
        /// Of a guest at a table: rings; at its deadline operators are told.
        Guest = "guest",
        /// Placed by a member: rings.
        Member = "member",
    }
}

impl AlertRule {
    /// The rule of an order.
    pub fn of(order: &Order) -> Self {
        if order.placed_by == Party::Member {
            Self::Member
        } else if order.fulfilment == Fulfilment::DineIn {
            Self::Guest
        } else {
            Self::Full
        }
    }
}

/// The alert of one order, from the commit that entered `placed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderAlert {
    /// The store's time of the commit that entered `placed`: every clock of the ladder starts there.
    placed_at: Timestamp,
    rule: AlertRule,
    /// When the order is cancelled, or operators are told.
    accept_at: Timestamp,
    ring_every_s: u16,
    next_ring: Timestamp,
    rings: u32,
    /// The rungs that are still to come, each with its time, in the order of their times.
    rungs: Vec<(Rung, Timestamp)>,
    /// Accept after the first acknowledgement.
    #[serde(default)]
    pub(super) auto_accept: bool,
    /// Whether the deadline was moved by an outage: then it does not count for the business.
    #[serde(default)]
    graced: bool,
    /// Whether the deadline of a rule without an end has been told to operators.
    #[serde(default)]
    told: bool,
}

impl OrderAlert {
    /// The alert of an order placed at `now`.
    pub(super) fn new(rule: AlertRule, terms: SagaTerms, clocks: &Clocks, now: Timestamp) -> Self {
        let own = |seconds: u16| Duration::from_secs(seconds.into());
        let ring_every = terms.ring_every_s.map_or(clocks.ring_every, own);
        let accept_at = now.plus(terms.accept_s.map_or(clocks.accept, own));
        let mut rungs = match rule {
            AlertRule::Full => vec![
                (Rung::Undelivered, now.plus(clocks.undelivered)),
                (Rung::Mail, now.plus(clocks.mail)),
                (Rung::Escalate, now.plus(clocks.escalate)),
                (Rung::Call, now.plus(clocks.call)),
            ],
            AlertRule::Guest | AlertRule::Member => Vec::new(),
        };
        rungs.sort_by_key(|(_, at)| *at);
        Self {
            placed_at: now,
            rule,
            accept_at,
            ring_every_s: u16::try_from(ring_every.as_secs().max(1)).unwrap_or(u16::MAX),
            next_ring: now.plus(ring_every),
            rings: 0,
            rungs,
            auto_accept: terms.auto_accept,
            graced: false,
            told: false,
        }
    }

    /// The next ring, rung or deadline.
    pub(super) fn next_due(&self) -> Timestamp {
        let rung = self.rungs.iter().map(|(_, at)| *at).min();
        let deadline = (self.rule != AlertRule::Member && !self.told).then_some(self.accept_at);
        [Some(self.next_ring), rung, deadline].into_iter().flatten().min().unwrap_or(self.next_ring)
    }

    /// When the order is cancelled by itself.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        (self.rule == AlertRule::Full).then_some(self.accept_at)
    }

    /// Whether the end of its time counts for the pause of its business.
    pub(super) fn counts(&self) -> bool {
        self.rule == AlertRule::Full && !self.graced
    }

    /// Does what is due, and tells whether the order's time is over.
    pub(super) fn fire(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) -> bool {
        if self.rule != AlertRule::Member && !self.told && self.accept_at <= facts.now && self.ran_out(facts)
        {
            if self.rule == AlertRule::Full {
                return true;
            }
            self.told = true;
            effects.push(SagaEffect::Alarm(OpsAlarm::OrderUnanswered));
        }
        self.climb(facts, effects);
        self.ring(facts, effects);
        false
    }

    /// Whether the deadline acts now; an outage or a hold puts it off.
    fn ran_out(&mut self, facts: &Facts<'_>) -> bool {
        self.graced |= facts.was_in_grace(self.accept_at, self.placed_at);
        match facts.postponed(self.accept_at, self.placed_at) {
            Some(later) => {
                if self.graced {
                    self.next_ring = facts.now;
                }
                self.accept_at = later;
                false
            }
            None => true,
        }
    }

    /// Uses the channels of the rungs that are due.
    fn climb(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let mut later = Vec::new();
        for (rung, at) in std::mem::take(&mut self.rungs) {
            if at > facts.now {
                later.push((rung, at));
                continue;
            }
            let silenced = facts.muted && rung != Rung::Undelivered;
            match rung {
                // One delivery is enough for the rungs of the undelivered.
                Rung::Undelivered | Rung::Mail if facts.delivered => {}
                Rung::Undelivered => effects.push(SagaEffect::Use(Channel::Webhook, rung)),
                Rung::Escalate => {
                    effects.push(SagaEffect::Use(Channel::Webhook, rung));
                    effects.push(SagaEffect::Alarm(OpsAlarm::OrderUnanswered));
                    later.extend(self.once(Channel::Mail, rung, silenced, facts, effects));
                }
                Rung::Mail => later.extend(self.once(Channel::Mail, rung, silenced, facts, effects)),
                Rung::Call => later.extend(self.once(Channel::Telephone, rung, silenced, facts, effects)),
                Rung::Ring => {}
            }
        }
        self.rungs = later;
    }

    /// Uses a channel of which a business has one use in a while, unless this order was named in the last one; a rung that has to
    /// wait for the next use is given back.
    fn once(
        &self,
        channel: Channel,
        rung: Rung,
        silenced: bool,
        facts: &Facts<'_>,
        effects: &mut Vec<SagaEffect>,
    ) -> Option<(Rung, Timestamp)> {
        let used = match channel {
            Channel::Telephone => facts.called_at,
            Channel::Mail => facts.mailed_at,
            Channel::Webhook => None,
        };
        if silenced || used.is_some_and(|used| used >= self.placed_at) {
            return None;
        }
        if let Some(free) =
            used.map(|used| used.plus(facts.clocks.call_every)).filter(|free| *free > facts.now)
        {
            return Some((rung, free));
        }
        effects.push(SagaEffect::Use(channel, rung));
        None
    }

    fn ring(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        if self.next_ring > facts.now {
            return;
        }
        self.rings += 1;
        // Rings that were missed are not made up for.
        self.next_ring = facts.now.plus(Duration::from_secs(self.ring_every_s.into()));
        effects.push(SagaEffect::Ring(Ring {
            kind: RingKind::Placed,
            ring: self.rings,
            deadline_at: self.ends_at(),
        }));
    }
}
