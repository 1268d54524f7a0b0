//! Settings of drivers' accounts.

use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem};

/// `[drivers]`: drivers' accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriverSettings {
    /// Whether a driver may work without an operator's approval.
    pub auto_approve: bool,
    /// Most deliveries at once that a driver can allow themselves, 1–20.
    pub max_capacity: u8,
}

impl Default for DriverSettings {
    fn default() -> Self {
        Self { auto_approve: false, max_capacity: 3 }
    }
}

impl DriverSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("drivers");
        checks.range("max_capacity", self.max_capacity, 1..=20);
        checks.found()
    }
}
