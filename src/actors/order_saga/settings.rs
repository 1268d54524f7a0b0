//! Settings of the lives of orders: alerts and deadlines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::saga::Clocks;
use crate::settings::{Checks, SettingProblem};

const DAY_S: u64 = 24 * 60 * 60;

/// `[alerts]`: how an order rings until somebody answers, and when a business is paused. All times begin at the commit that placed the
/// order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSettings {
    /// The webhook is used when no device has acknowledged the order, seconds, 1–600.
    pub undelivered_s: u64,
    /// Mail is used when no device has acknowledged the order, seconds, 1–600.
    pub mail_s: u64,
    /// Pause between two rings, seconds, 1–60. A business may have its own.
    pub ring_every_s: u64,
    /// All members and every fallback channel are used, acknowledged or not, seconds, 1–1200.
    pub escalate_s: u64,
    /// The telephone is used, seconds, 1–1200.
    pub call_s: u64,
    /// Pause between two calls, and between two mails, of one business, seconds, 1–3600.
    pub call_every_s: u64,
    /// The order is cancelled without an answer, seconds, 1–3600. A business may have its own.
    pub accept_s: u64,
    /// Rings of an order that was changed or cancelled after it was accepted end after this, seconds, 1–3600.
    pub attention_s: u64,
    /// Orders in a row without an answer that pause a business, 1–100.
    pub unanswered_pause: u32,
    /// A business without a device that can ring is paused after this, seconds, 0–86400; 0: never.
    pub unreachable_s: u64,
    /// No business is paused by machine when more than this part of the open ones would be within `unreachable_s`,
    /// percent, 1–100.
    pub brake_percent: u32,
}

impl Default for AlertSettings {
    fn default() -> Self {
        let clocks = Clocks::default();
        Self {
            undelivered_s: clocks.undelivered.as_secs(),
            mail_s: clocks.mail.as_secs(),
            ring_every_s: clocks.ring_every.as_secs(),
            escalate_s: clocks.escalate.as_secs(),
            call_s: clocks.call.as_secs(),
            call_every_s: clocks.call_every.as_secs(),
            accept_s: clocks.accept.as_secs(),
            attention_s: clocks.attention.as_secs(),
            unanswered_pause: clocks.unanswered_pause,
            unreachable_s: clocks.unreachable.as_secs(),
            brake_percent: clocks.brake_percent,
        }
    }
}

impl AlertSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("alerts");
        checks.range("undelivered_s", self.undelivered_s, 1..=600);
        checks.range("mail_s", self.mail_s, 1..=600);
        checks.range("ring_every_s", self.ring_every_s, 1..=60);
        checks.range("escalate_s", self.escalate_s, 1..=1200);
        checks.range("call_s", self.call_s, 1..=1200);
        checks.range("call_every_s", self.call_every_s, 1..=3600);
        checks.range("accept_s", self.accept_s, 1..=3600);
        checks.range("attention_s", self.attention_s, 1..=3600);
        checks.range("unanswered_pause", self.unanswered_pause, 1..=100);
        checks.range("unreachable_s", self.unreachable_s, 0..=DAY_S);
        checks.range("brake_percent", self.brake_percent, 1..=100);
        checks.found()
    }
}

/// `[sagas]`: what the hub does to orders by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SagaSettings {
    /// An order has an actor on this node while its next deadline is nearer than this, seconds, 1–3600; later ones are found in
    /// the database.
    pub horizon_s: u64,
    /// Most actors of orders on this node, 0–1000000, about 2 KiB each; deadlines of further ones are up to 1.5 s late.
    pub max_actors: usize,
    /// A hub without a commit for this long was away, seconds, 2–3600: nobody could answer meanwhile.
    pub outage_s: u64,
    /// After an outage no deadline ends earlier than this, seconds, 0–3600.
    pub grace_s: u64,
    /// An order that is not ready this long after its time reminds the devices, seconds, 1–86400.
    pub late_s: u64,
    /// Operators are told of an order that is not ready this long after its time, seconds, 1–86400.
    pub very_late_s: u64,
    /// Operators are told of an order that is ready for this long, seconds, 1–86400.
    pub handover_s: u64,
    /// Operators are told of an order that is under way for this long, seconds, 1–86400.
    pub under_way_s: u64,
    /// An order that is not a delivery ends by itself this long after its last transition, seconds, 60–604800.
    pub forgotten_s: u64,
    /// A deadline that an operator holds is looked at again after this, seconds, 1–600.
    pub held_s: u64,
}

impl Default for SagaSettings {
    fn default() -> Self {
        let clocks = Clocks::default();
        Self {
            horizon_s: 60,
            max_actors: 50_000,
            outage_s: clocks.outage.as_secs(),
            grace_s: clocks.grace.as_secs(),
            late_s: clocks.late.as_secs(),
            very_late_s: clocks.very_late.as_secs(),
            handover_s: clocks.handover.as_secs(),
            under_way_s: clocks.under_way.as_secs(),
            forgotten_s: clocks.forgotten.as_secs(),
            held_s: clocks.held.as_secs(),
        }
    }
}

impl SagaSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("sagas");
        checks.range("horizon_s", self.horizon_s, 1..=3600);
        checks.range("max_actors", self.max_actors, 0..=1_000_000);
        checks.range("outage_s", self.outage_s, 2..=3600);
        checks.range("grace_s", self.grace_s, 0..=3600);
        checks.range("late_s", self.late_s, 1..=DAY_S);
        checks.range("very_late_s", self.very_late_s, 1..=DAY_S);
        checks.range("handover_s", self.handover_s, 1..=DAY_S);
        checks.range("under_way_s", self.under_way_s, 1..=DAY_S);
        checks.range("forgotten_s", self.forgotten_s, 60..=7 * DAY_S);
        checks.range("held_s", self.held_s, 1..=600);
        checks.found()
    }
}

/// The clocks by which orders live; an order that is not paid online after `unpaid` is cancelled.
pub fn clocks(alerts: &AlertSettings, sagas: &SagaSettings, unpaid: Duration) -> Clocks {
    let s = Duration::from_secs;
    Clocks {
        unpaid,
        undelivered: s(alerts.undelivered_s),
        mail: s(alerts.mail_s),
        ring_every: s(alerts.ring_every_s),
        escalate: s(alerts.escalate_s),
        call: s(alerts.call_s),
        accept: s(alerts.accept_s),
        call_every: s(alerts.call_every_s),
        attention: s(alerts.attention_s),
        late: s(sagas.late_s),
        very_late: s(sagas.very_late_s),
        handover: s(sagas.handover_s),
        under_way: s(sagas.under_way_s),
        forgotten: s(sagas.forgotten_s),
        outage: s(sagas.outage_s),
        grace: s(sagas.grace_s),
        held: s(sagas.held_s),
        unanswered_pause: alerts.unanswered_pause,
        unreachable: s(alerts.unreachable_s),
        brake_percent: alerts.brake_percent,
        ..Clocks::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::PaymentSettings;

    #[test]
    fn the_defaults_are_the_clocks_of_the_rules() {
        let unpaid = Duration::from_secs(PaymentSettings::default().unpaid_s);
        let clocks = clocks(&AlertSettings::default(), &SagaSettings::default(), unpaid);
        assert_eq!(clocks, Clocks::default());
    }

    #[test]
    fn every_value_out_of_its_range_is_named() {
        let alerts = AlertSettings { accept_s: 0, brake_percent: 101, ..AlertSettings::default() };
        let sagas = SagaSettings { outage_s: 1, ..SagaSettings::default() };
        let problems = [alerts.problems(), sagas.problems()].concat();
        let keys: Vec<_> = problems.into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["alerts.accept_s", "alerts.brake_percent", "sagas.outage_s"]);
    }
}
