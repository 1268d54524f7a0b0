//! Settings of the actors: the bounds of every queue, ring and outbox.

use serde::{Deserialize, Serialize};

use crate::settings::SettingProblem;

pub use super::driver_pool::{DispatchSettings, rules as dispatch_rules};
pub use super::jobs::RetentionSettings;
pub use super::order_saga::settings::{AlertSettings, SagaSettings, clocks};
pub use super::persistence::PersistenceSettings;
pub use super::room::settings::RoomSettings;
pub use super::session::settings::SessionSettings;

/// Settings of all actors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Group commit.
    pub persistence: PersistenceSettings,
    /// Bounds of the events that rooms keep in memory.
    pub rooms: RoomSettings,
    /// Bounds and clocks of one socket.
    pub sessions: SessionSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// How orders ring and when they are given up.
    pub alerts: AlertSettings,
    /// What the hub does to orders by itself.
    pub sagas: SagaSettings,
    /// How drivers are searched and watched.
    pub dispatch: DispatchSettings,
}

impl Settings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = self.persistence.problems();
        problems.extend(self.rooms.problems());
        problems.extend(self.sessions.problems());
        problems.extend(self.retention.problems());
        problems.extend(self.alerts.problems());
        problems.extend(self.sagas.problems());
        problems.extend(self.dispatch.problems());
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(Settings::default().problems(), []);
    }
}
