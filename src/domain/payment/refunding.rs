//! Refunds on their way: sent, answered, looked up, and what the provider tells of them later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::RefundId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

use super::ledger::{MoneyEffect, OrderMoney};
use super::model::{MoneyWay, Payment, Refund, RefundCause, RefundState};
use super::table::{RefundEvent, refund_after};

/// Operators are told of a refund that has not succeeded for this long.
pub(super) const ALARM_AFTER: Duration = Duration::from_secs(3600);

/// Longest that a call to the provider may take, with everything around it: no other node begins the refund meanwhile.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Pause after the first attempt without an answer; doubles with each further one, up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LAST_PAUSE: Duration = Duration::from_secs(3600);

/// What the hub does about a refund that it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStep {
    /// It was never sent: the provider is told.
    Send,
    /// It may have been sent: the provider is asked, and told only when it does not know it.
    LookUp,
    /// It had failed and an operator wants it tried again: the provider is asked, and told again unless it is done or under way.
    SendAgain,
}

/// The answer of the provider about a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundAnswer {
    /// The money has gone back.
    Done {
        /// The provider's name for it.
        reference: Option<String>,
    },
    /// It works on it.
    Pending {
        /// The provider's name for it.
        reference: Option<String>,
    },
    /// It refuses it, or could not deliver it.
    Refused,
    /// Nothing that says what happened, also when the provider is known to be away.
    NoAnswer,
}

impl RefundAnswer {
    /// The answer as logs and metrics name it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done { .. } => "succeeded",
            Self::Pending { .. } => "pending",
            Self::Refused => "failed",
            Self::NoAnswer => "unknown",
        }
    }
}

impl Refund {
    /// A refund of a payment that becomes due now. One of a payment that a person recorded waits for a person.
    pub(super) fn due(
        id: RefundId,
        payment: &Payment,
        amount_minor: i64,
        cause: RefundCause,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            payment: payment.id,
            order: payment.order,
            amount_minor,
            cause,
            reason: None,
            way: payment.way,
            reference: None,
            state: RefundState::Due,
            attempt: 0,
            retries: 0,
            first_sent_at: None,
            due_at: (payment.way == MoneyWay::Online).then_some(now),
            alarm_at: Some(now.plus(ALARM_AFTER)),
            told: false,
            user: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.attempt.saturating_sub(1).min(10)).min(LAST_PAUSE)
    }
}

impl OrderMoney {
    /// Begins an attempt at a refund that is due: nobody else begins one until it has answered or [`CALL_WITHIN`] has passed. `None`
    /// when it is not due, or `attempt` is not its present one.
    pub fn begin_refund(
        &mut self,
        id: RefundId,
        attempt: u32,
        now: Timestamp,
    ) -> Option<(RefundStep, Refund)> {
        let refund = self.refunds.iter_mut().find(|refund| refund.id == id)?;
        let is_due = refund.due_at.is_some_and(|due| due <= now);
        if refund.attempt != attempt || !is_due || refund_after(refund.state, RefundEvent::Send).is_none() {
            return None;
        }
        let step = match (refund.first_sent_at, refund.retries) {
            (Some(_), _) => RefundStep::LookUp,
            (None, 0) => RefundStep::Send,
            (None, _) => RefundStep::SendAgain,
        };
        (refund.attempt, refund.due_at) = (attempt + 1, Some(now.plus(CALL_WITHIN)));
        refund.first_sent_at.get_or_insert(now);
        self.apply(id, RefundEvent::Send, now);
        Some((step, self.refund(id)?.clone()))
    }

    /// Notes what came of an attempt. An attempt that another one has followed says nothing any more, unless the money has gone back.
    pub fn refund_answered(
        &mut self,
        id: RefundId,
        attempt: u32,
        answer: &RefundAnswer,
        order: &mut Order,
        new_refund: impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Vec<MoneyEffect> {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return Vec::new() };
        let is_done = matches!(answer, RefundAnswer::Done { .. });
        let waits = matches!(refund.state, RefundState::Sent | RefundState::Unknown);
        if refund.state == RefundState::Succeeded || (!is_done && (refund.attempt != attempt || !waits)) {
            // A message has told more meanwhile, or an operator lets it be sent again: an answer from before changes nothing.
            return Vec::new();
        }
        if let RefundAnswer::Done { reference } | RefundAnswer::Pending { reference } = answer
            && reference.is_some()
        {
            refund.reference.clone_from(reference);
        }
        refund.due_at = match answer {
            RefundAnswer::Done { .. } | RefundAnswer::Refused => None,
            RefundAnswer::Pending { .. } | RefundAnswer::NoAnswer => Some(now.plus(refund.pause())),
        };
        let event = match answer {
            RefundAnswer::Done { .. } => RefundEvent::Done,
            RefundAnswer::Pending { .. } => RefundEvent::Pending,
            RefundAnswer::Refused => RefundEvent::Refused,
            RefundAnswer::NoAnswer => RefundEvent::NoAnswer,
        };
        let effects = self.refund_event(id, event, now);
        self.settle(order, new_refund, now);
        effects
    }

    /// The alarm time of a refund has passed without success: operators are told once.
    pub fn refund_late(&mut self, id: RefundId, now: Timestamp) -> Vec<MoneyEffect> {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return Vec::new() };
        if refund.alarm_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        refund.alarm_at = None;
        vec![MoneyEffect::RefundFailed(id)]
    }

    pub(super) fn refund_event(
        &mut self,
        id: RefundId,
        event: RefundEvent,
        now: Timestamp,
    ) -> Vec<MoneyEffect> {
        if !self.apply(id, event, now) {
            return Vec::new();
        }
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return Vec::new() };
        match refund.state {
            RefundState::Succeeded => {
                (refund.due_at, refund.alarm_at) = (None, None);
                vec![MoneyEffect::Returned(id)]
            }
            RefundState::Failed => {
                (refund.due_at, refund.alarm_at) = (None, None);
                vec![MoneyEffect::RefundFailed(id)]
            }
            RefundState::Due | RefundState::Sent | RefundState::Unknown => Vec::new(),
        }
    }
}
