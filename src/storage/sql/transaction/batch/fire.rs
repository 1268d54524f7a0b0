//! Firing deadlines: the saga of an order decides, and everything that follows becomes part of the transaction.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::time::Duration;

use crate::domain::alert_texts::{late_order, order_alarm, pause_alarm};
use crate::domain::business::{Pause, PauseCause};
use crate::domain::event::{Announcement, Posted as _};
use crate::domain::hold::HeldAction;
use crate::domain::ids::{BusinessId, EventId, IntentId, NotificationId, OrderId, UserId};
use crate::domain::ops::{Alarm, ChangeIds, business_updated};
use crate::domain::order::{FollowUp, Order, Party, Status};
use crate::domain::saga::{Channel, DeadlineKind, OpsAlarm, Ring, Rung, SagaEffect, Unanswered};
use crate::domain::time::Timestamp;
use crate::storage::commands::{AnswerState, FireDeadline, FireReport, RingDue};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::audit::{self, AuditEntry};
use super::super::intents::{self, NewIntent};
use super::super::orders::Mover;
use super::{Source, Transaction};

/// The time after which an order of a restored copy is looked at again: the longest wait for its deadlines after the release.
const HELD_FOR: Duration = Duration::from_secs(30);

impl Transaction<'_> {
    /// Whether the row is as it was seen, and due.
    pub(super) fn is_due(&self, fire: &FireDeadline) -> bool {
        let saga = self.sagas.get(fire.order);
        saga.is_some_and(|saga| {
            saga.attempt == fire.attempt && saga.due_at.is_some_and(|due_at| due_at <= self.now)
        })
    }

    /// Whether the order is one of a restored copy that is held: then it is looked at again later.
    fn is_held_back(&mut self, fire: &FireDeadline) -> bool {
        let held = self.orders.get(fire.order).is_some_and(|order| self.facts.is_of_held_copy(order));
        if held {
            self.sagas.postponed(fire.order, self.now.plus(HELD_FOR));
        }
        held
    }

    /// Fires what is due of an order. What is not due any more changes nothing.
    pub(super) async fn fire(&mut self, fire: &FireDeadline) -> Result<Answer, TxError> {
        self.sagas.asked(fire.order);
        let nothing = Answer::Fired { order: fire.order, report: None, step: None };
        if !self.is_due(fire) || self.is_held_back(fire) {
            return Ok(nothing);
        }
        self.refresh(fire.business).await?;
        // An older release may have moved it without its delivery.
        self.follow_move(fire.order, Party::System)?;
        let (Some(business), _) = self.catalog.of(fire.business) else { return Ok(nothing) };
        let clocks = self.clocks.clone();
        let mut facts = self.facts.of(fire.order, business, &clocks, self.now);
        facts.unpaid = self.unpaid_facts(fire.order);
        facts.delivery = self.delivery_facts(fire.order, business);
        let Some(order) = self.orders.get_mut(fire.order) else { return Ok(nothing) };
        let Some(saga) = self.sagas.of(fire.order, fire.business) else { return Ok(nothing) };
        let kind = saga.saga.next_kind().unwrap_or(DeadlineKind::Progress);
        let due_at = saga.due_at.unwrap_or(self.now);
        let before = Times::of(order);
        let effects = saga.saga.fire(order, &facts);
        let shifted = Times::of(order) != before;
        self.sagas.changed(fire.order);
        let mut report = FireReport {
            kind,
            due_at,
            fired_at: self.now,
            rungs: Vec::new(),
            moved_from: None,
            answer: AnswerState::Open,
        };
        let mut step = None;
        for effect in effects {
            self.follow(fire, effect, &mut report, &mut step).await?;
        }
        if shifted && step.is_none() {
            step = Some(self.orders.shifted(fire.order));
        }
        Ok(Answer::Fired { order: fire.order, report: Some(report), step })
    }

    async fn follow(
        &mut self,
        fire: &FireDeadline,
        effect: SagaEffect,
        report: &mut FireReport,
        step: &mut Option<usize>,
    ) -> Result<(), TxError> {
        let FireDeadline { order: id, business, .. } = *fire;
        match effect {
            SagaEffect::Ring(ring) => {
                self.ring(business, id, ring);
                report.rungs.push(Rung::Ring);
            }
            SagaEffect::RingDriver(driver, ring) => self.ring_out(business, id, Some(driver), ring),
            SagaEffect::Use(channel, rung) => {
                self.use_channel(business, id, channel, rung).await?;
                // One rung may use two channels.
                if !report.rungs.contains(&rung) {
                    report.rungs.push(rung);
                }
            }
            SagaEffect::ClosePayment => {
                self.with_money(id, |money, _, now| money.ask(now));
            }
            SagaEffect::Moved { from, follows } => {
                *step = Some(self.moved_by_hub(id, from, follows).await?);
                report.moved_from = Some(from);
            }
            SagaEffect::Remind => self.remind(id),
            SagaEffect::Alarm(kind) => self.alarm_of(id, kind),
            SagaEffect::Unanswered(unanswered) => {
                report.answer = self.unanswered(business, id, unanswered).await?;
            }
            // The rest is about its delivery.
            search => self.follow_search(id, search),
        }
        Ok(())
    }

    async fn moved_by_hub(
        &mut self,
        id: OrderId,
        from: Status,
        follows: &'static [FollowUp],
    ) -> Result<usize, TxError> {
        self.follow_move(id, Party::System)?;
        self.settle(id).await?;
        let mover = Mover { party: Party::System, user: None, reason: None };
        let moved = self.orders.moved(id, from, follows, mover, self.now);
        self.sources.push(Source::Step(moved));
        Ok(moved)
    }

    fn remind(&mut self, order: OrderId) {
        if let Some(order) = self.orders.get(order) {
            let reminder = late_order(order, NotificationId::generate(), self.now);
            self.tell(reminder.announce(EventId::generate()));
        }
    }

    fn alarm_of(&mut self, order: OrderId, kind: OpsAlarm) {
        if matches!(kind, OpsAlarm::NoDriver | OpsAlarm::DriverSilent) {
            self.delivery_alarm(order, kind, None);
        } else if let Some(order) = self.orders.get(order) {
            self.alarm(order_alarm(kind, order));
        }
    }

    fn ring(&mut self, business: BusinessId, order: OrderId, ring: Ring) {
        if let Some(saga) = self.sagas.of(order, business) {
            saga.rang();
        }
        self.ring_out(business, order, None, ring);
    }

    fn ring_out(&mut self, business: BusinessId, order: OrderId, driver: Option<UserId>, ring: Ring) {
        let order_number = self.orders.get(order).map_or(0, |order| order.order_number);
        self.rings.push(RingDue { business, driver, order, order_number, ring });
    }

    async fn use_channel(
        &mut self,
        business: BusinessId,
        order: OrderId,
        channel: Channel,
        rung: Rung,
    ) -> Result<(), TxError> {
        let now = self.now;
        // A call and a mail name all orders that wait; the webhook is of this one.
        let waiting = match channel {
            Channel::Webhook => 1,
            Channel::Mail | Channel::Telephone => intents::waiting(self.connection, business).await?,
        };
        self.catalog.count(business, |business| {
            match channel {
                Channel::Telephone => business.alerts.called_at = Some(now),
                Channel::Mail => business.alerts.mailed_at = Some(now),
                Channel::Webhook => return false,
            }
            true
        });
        let intent = NewIntent::new(IntentId::generate(), (channel, rung), (business, order), waiting, now);
        self.intents.push(intent);
        Ok(())
    }

    /// Counts an order that ended without an answer, and pauses its business if that makes too many.
    async fn unanswered(
        &mut self,
        id: BusinessId,
        order: OrderId,
        Unanswered { customer, counts }: Unanswered,
    ) -> Result<AnswerState, TxError> {
        if !counts {
            return Ok(AnswerState::Unanswered);
        }
        let (now, limit) = (self.now, self.clocks.unanswered_pause);
        let waiting = self.waiting(id, order).await?;
        let business = self.catalog.of(id).0;
        let held = business.is_some_and(|business| self.facts.holds(HeldAction::AutoPause, business, now));
        let mut pause = None;
        self.catalog.count(id, |business| {
            let paused = business.pauses.of(PauseCause::Unanswered, now).is_some();
            if business.alerts.ran_out(customer, &waiting, limit) && !held && !paused {
                let begun = Pause::unanswered(now, &business.timezone);
                business.pauses.put(begun);
                (business.version, business.updated_at) = (business.version + 1, now);
                pause = Some(begun);
            }
            true
        });
        let Some((pause, business)) = pause.zip(self.catalog.of(id).0) else {
            return Ok(AnswerState::Unanswered);
        };
        let ids = ChangeIds { in_business: EventId::generate(), in_ops: EventId::generate() };
        let (told, alarm) = (business_updated(business, ids, now), pause_alarm(business, &pause));
        audit::record(self.connection, [AuditEntry::trading(None, business, now)], now).await?;
        self.tell(told);
        self.alarm(alarm);
        Ok(AnswerState::Paused)
    }

    /// The customers of other orders of a business that wait for too long. Those of this batch may have moved on without being
    /// written yet.
    async fn waiting(&mut self, business: BusinessId, order: OrderId) -> Result<Vec<UserId>, TxError> {
        let waiting = self.facts.waiting(self.connection, business, self.now).await?;
        let still = |other: OrderId| {
            other != order && self.orders.get(other).is_none_or(|other| other.status == Status::Placed)
        };
        Ok(waiting.into_iter().filter(|(other, _)| still(*other)).map(|(_, customer)| customer).collect())
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        let told = alarm.announce(EventId::generate(), NotificationId::generate(), self.now);
        self.tell(told);
    }

    pub(super) fn tell(&mut self, announcement: Announcement) {
        self.sources.push(Source::Posted(announcement));
    }
}

/// The times of an order that a saga may set without moving it.
#[derive(PartialEq, Eq)]
struct Times {
    placed_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    deadline_at: Option<Timestamp>,
}

impl Times {
    fn of(order: &Order) -> Self {
        Self { placed_at: order.placed_at, answered_at: order.answered_at, deadline_at: order.deadline_at }
    }
}
