//! The alert ladder of an order that waits for an answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::order::{Fulfilment, Order, Party, Status};
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

/// A use of a channel that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    rung: Rung,
    channel: Channel,
    at: Timestamp,
}

/// The alert of one order, from the commit that entered `placed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderAlert {
    /// The store's time of the commit that entered `placed`: every clock of the ladder starts there.
    placed_at: Timestamp,
    rule: AlertRule,
    /// When the order is cancelled, or operators are told; `None`: neither, or they have been told.
    accept_at: Option<Timestamp>,
    /// When an order without a deadline of its own is taken for forgotten; `None`: it has one, or was.
    forgotten_at: Option<Timestamp>,
    ring_every_s: u16,
    /// `None` when nobody is to hear of it any more.
    next_ring: Option<Timestamp>,
    rings: u32,
    steps: Vec<Step>,
    /// Accept after the first acknowledgement.
    #[serde(default)]
    pub(super) auto_accept: bool,
    /// Whether the deadline ran out in the grace after an outage: then it does not count for the business.
    #[serde(default)]
    graced: bool,
}

impl OrderAlert {
    /// The alert of an order placed at `now`.
    pub(super) fn new(rule: AlertRule, terms: SagaTerms, clocks: &Clocks, now: Timestamp) -> Self {
        let own = |seconds: u16| Duration::from_secs(seconds.into());
        let ring_every = terms.ring_every_s.map_or(clocks.ring_every, own);
        let accept_at = now.plus(terms.accept_s.map_or(clocks.accept, own));
        let step = |rung, channel, after| Step { rung, channel, at: now.plus(after) };
        let steps = match rule {
            AlertRule::Full => vec![
                step(Rung::Undelivered, Channel::Webhook, clocks.undelivered),
                step(Rung::Mail, Channel::Mail, clocks.mail),
                step(Rung::Escalate, Channel::Webhook, clocks.escalate),
                step(Rung::Escalate, Channel::Mail, clocks.escalate),
                step(Rung::Call, Channel::Telephone, clocks.call),
                // Of both, the first one due calls.
                step(Rung::Escalate, Channel::Telephone, clocks.escalate),
            ],
            AlertRule::Guest | AlertRule::Member => Vec::new(),
        };
        Self {
            placed_at: now,
            rule,
            accept_at: (rule != AlertRule::Member).then_some(accept_at),
            forgotten_at: (rule != AlertRule::Full).then(|| now.plus(clocks.forgotten)),
            ring_every_s: u16::try_from(ring_every.as_secs().max(1)).unwrap_or(u16::MAX),
            next_ring: Some(now.plus(ring_every)),
            rings: 0,
            steps,
            auto_accept: terms.auto_accept,
            graced: false,
        }
    }

    /// The next ring, step or deadline.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let step = self.steps.iter().map(|step| step.at).min();
        [self.next_ring, step, self.accept_at, self.forgotten_at].into_iter().flatten().min()
    }

    /// When somebody has to have answered: then the order is cancelled, or operators are told.
    pub(super) fn accept_at(&self) -> Option<Timestamp> {
        self.accept_at
    }

    /// When the order is cancelled by itself.
    fn cancelled_at(&self) -> Option<Timestamp> {
        self.accept_at.filter(|_| self.rule == AlertRule::Full)
    }

    /// When the hub takes the order out of `placed` by itself.
    pub(super) fn ends_at(&self, fulfilment: Fulfilment) -> Option<Timestamp> {
        let forgotten = self.forgotten_at.filter(|_| fulfilment != Fulfilment::Delivery);
        self.cancelled_at().or(forgotten)
    }

    /// When an order without a deadline of its own is taken for forgotten.
    pub(super) fn forgotten_at(&self) -> Option<Timestamp> {
        self.forgotten_at
    }

    /// Time between two rings.
    pub(super) fn ring_every(&self) -> Duration {
        Duration::from_secs(self.ring_every_s.into())
    }

    /// Whether the end of its time counts for the pause of its business.
    pub(super) fn counts(&self) -> bool {
        self.rule == AlertRule::Full && !self.graced
    }

    /// Rings at `now`, and then at its pace.
    pub(super) fn ring_now(&mut self, now: Timestamp) {
        self.next_ring = Some(now);
    }

    /// Does what is due, and tells where the order goes now that its time is over; `None` while it is not.
    pub(super) fn fire(
        &mut self,
        fulfilment: Fulfilment,
        facts: &Facts<'_>,
        effects: &mut Vec<SagaEffect>,
    ) -> Option<Status> {
        if self.ran_out(facts) {
            if self.rule == AlertRule::Full {
                return Some(Status::Cancelled);
            }
            self.accept_at = None;
            effects.push(SagaEffect::Alarm(OpsAlarm::OrderUnanswered));
        }
        if self.is_forgotten(facts) {
            if fulfilment != Fulfilment::Delivery {
                return Some(Status::Delivered);
            }
            // A delivery waits for a person, whom no device has found in all that time.
            (self.forgotten_at, self.next_ring) = (None, None);
            effects.push(SagaEffect::Alarm(OpsAlarm::OrderLate));
        }
        self.climb(facts, effects);
        if self.next_ring.is_some_and(|at| at <= facts.now) {
            self.ring(facts, effects);
        }
        None
    }

    /// Whether the time to answer is over. An outage puts the end off, and a hold of cancels does where it is one.
    fn ran_out(&mut self, facts: &Facts<'_>) -> bool {
        let Some(due) = self.accept_at.filter(|due| *due <= facts.now) else { return false };
        self.graced |= facts.was_in_grace(due, self.placed_at);
        let later = facts.after_outage(due, self.placed_at);
        let later = later.or_else(|| facts.held().filter(|_| self.rule == AlertRule::Full));
        self.accept_at = Some(later.unwrap_or(due));
        later.is_none()
    }

    fn is_forgotten(&mut self, facts: &Facts<'_>) -> bool {
        let Some(due) = self.forgotten_at.filter(|due| *due <= facts.now) else { return false };
        let later = facts.after_outage(due, self.placed_at);
        self.forgotten_at = Some(later.unwrap_or(due));
        later.is_none()
    }

    /// Uses the channels of the steps that are due.
    fn climb(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        let mut used = (facts.called_at, facts.mailed_at);
        for mut step in std::mem::take(&mut self.steps) {
            if let Some(anew) = facts.anew(step.at, self.placed_at) {
                step.at = anew;
            }
            if step.at > facts.now {
                self.steps.push(step);
                continue;
            }
            let of_undelivered = step.rung != Rung::Escalate;
            if of_undelivered && facts.delivered {
                continue;
            }
            let used = match step.channel {
                Channel::Webhook => {
                    effects.push(SagaEffect::Use(step.channel, step.rung));
                    if step.rung == Rung::Undelivered {
                        self.nudge(effects);
                    }
                    continue;
                }
                Channel::Telephone => &mut used.0,
                Channel::Mail => &mut used.1,
            };
            // Silenced, or this order was named in the last use.
            if facts.muted || used.is_some_and(|used| used >= self.placed_at) {
                continue;
            }
            match used.map(|used| used.plus(facts.clocks.call_every)).filter(|free| *free > facts.now) {
                Some(free) => self.steps.push(Step { at: free, ..step }),
                None => {
                    *used = Some(facts.now);
                    effects.push(SagaEffect::Use(step.channel, step.rung));
                }
            }
        }
    }

    fn ring(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) {
        // Rings that were missed are not made up for.
        self.next_ring = Some(facts.now.plus(self.ring_every()));
        self.nudge(effects);
    }

    fn nudge(&mut self, effects: &mut Vec<SagaEffect>) {
        // One ring says all that several at once would.
        if effects.iter().any(|effect| matches!(effect, SagaEffect::Ring(_))) {
            return;
        }
        self.rings += 1;
        let deadline_at = self.cancelled_at();
        effects.push(SagaEffect::Ring(Ring { kind: RingKind::Placed, ring: self.rings, deadline_at }));
    }
}
