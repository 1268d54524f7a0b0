//! Settings of background jobs: how long data is kept.

use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem};

/// `[retention]`: how long what nobody needs for daily work is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Events of rooms, days, 1–3650; a device that was away for longer gets `resync`.
    pub room_events_days: u32,
    /// Notifications and their read marks, days, 1–3650.
    pub notifications_days: u32,
    /// Uses of channels to the outside, days, 1–3650.
    pub intents_days: u32,
    /// Messages of the payment provider that were worked on, and their dead letters, days, 30–3650. A message that comes again
    /// within that time counts once.
    pub payment_messages_days: u32,
    /// Offers of deliveries and the steps that were reported, days, 1–3650; deliveries themselves stay with their orders.
    pub deliveries_days: u32,
    /// The audit, days, 1–3650.
    pub audit_days: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            room_events_days: 30,
            notifications_days: 90,
            intents_days: 30,
            payment_messages_days: 30,
            deliveries_days: 90,
            audit_days: 365,
        }
    }
}

impl RetentionSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("retention");
        checks.range("room_events_days", self.room_events_days, 1..=3650);
        checks.range("notifications_days", self.notifications_days, 1..=3650);
        checks.range("intents_days", self.intents_days, 1..=3650);
        checks.range("payment_messages_days", self.payment_messages_days, 30..=3650);
        checks.range("deliveries_days", self.deliveries_days, 1..=3650);
        checks.range("audit_days", self.audit_days, 1..=3650);
        checks.found()
    }
}
