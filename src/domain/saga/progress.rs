//! The clocks of an order that was answered and has not ended.

use serde::{Deserialize, Serialize};

use crate::domain::order::{Fulfilment, Order, Status};
use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::facts::{Facts, SagaEffect};
use super::words::OpsAlarm;

/// The reminders and the end of a live order. A transition begins them anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The last transition.
    since: Timestamp,
    /// When devices are reminded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remind_at: Option<Timestamp>,
    /// When operators are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alarm_at: Option<Timestamp>,
    /// When it ends as delivered; deliveries wait for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_at: Option<Timestamp>,
}

impl Progress {
    /// The clocks of an order that entered its status at `now`.
    pub(super) fn new(order: &Order, clocks: &Clocks, now: Timestamp) -> Self {
        let alarm_at = match order.status {
            Status::Ready => Some(now.plus(clocks.handover)),
            Status::PickedUp => Some(now.plus(clocks.under_way)),
            _ => None,
        };
        let end_at = (order.fulfilment != Fulfilment::Delivery).then(|| now.plus(clocks.forgotten));
        let mut progress = Self { since: now, remind_at: None, alarm_at, end_at };
        progress.ready_by(order, clocks, now);
        progress
    }

    /// Takes the order's present time to be ready. A reminder that lies before `now` was given, or is not any more; operators are
    /// told in any case.
    pub(super) fn ready_by(&mut self, order: &Order, clocks: &Clocks, now: Timestamp) {
        if !matches!(order.status, Status::Accepted | Status::Preparing) {
            return;
        }
        let ready_at = order.ready_at.unwrap_or(now);
        let to_come = |at: &Timestamp| *at > now;
        self.remind_at = Some(ready_at.plus(clocks.late)).filter(to_come);
        let alarm_at = Some(ready_at.plus(clocks.very_late)).filter(to_come);
        self.alarm_at = Some(alarm_at.unwrap_or(now.plus(clocks.very_late)));
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        [self.remind_at, self.alarm_at, self.end_at].into_iter().flatten().min()
    }

    /// When the order ends by itself.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.end_at
    }

    /// Does what is due, and tells whether the order ends.
    pub(super) fn fire(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) -> bool {
        if let Some(due) = self.end_at.filter(|due| *due <= facts.now) {
            match facts.after_outage(due, self.since) {
                Some(later) => self.end_at = Some(later),
                None => return true,
            }
        }
        let is_due = |at: &mut Option<Timestamp>| at.take_if(|at| *at <= facts.now).is_some();
        if is_due(&mut self.remind_at) {
            effects.push(SagaEffect::Remind);
        }
        if is_due(&mut self.alarm_at) {
            effects.push(SagaEffect::Alarm(OpsAlarm::OrderLate));
        }
        false
    }
}
