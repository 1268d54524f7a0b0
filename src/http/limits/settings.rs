//! `[limits]`: the quotas of each class.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::class::RateClass;
use crate::domain::quota::{Quota, Window};
use crate::settings::{Checks, SettingProblem};

/// `[limits]`: requests in any window, for each login session, user, or address of those who are not signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Sign-ups and logins of an address, 1–1000000.
    pub auth: u32,
    /// Their window, seconds, 1–86400.
    pub auth_window_s: u64,
    /// Refreshes of one login session, 1–1000000.
    pub refresh: u32,
    /// Their window, seconds, 1–86400.
    pub refresh_window_s: u64,
    /// Orders placed by a user, 1–1000000.
    pub orders: u32,
    /// Their window, seconds, 1–86400.
    pub orders_window_s: u64,
    /// Most orders of one customer that wait at one business for an answer, 1–1000.
    pub open_orders: u32,
    /// Changes of orders' status by a login session, 1–1000000; ten times as many by a user.
    pub moves: u32,
    /// Their window, seconds, 1–86400.
    pub moves_window_s: u64,
    /// Everything else by a login session, 1–1000000; ten times as many by a user.
    pub api: u32,
    /// Its window, seconds, 1–86400.
    pub api_window_s: u64,
    /// The same for a longer time, 1–1000000.
    pub api_long: u32,
    /// That longer window, seconds, 1–86400.
    pub api_long_window_s: u64,
    /// Everything by an address that is not signed in, 1–1000000.
    pub public: u32,
    /// Its window, seconds, 1–86400.
    pub public_window_s: u64,
    /// Socket frames that reach the store, by a user over all their sockets, 1–1000000.
    pub frames: u32,
    /// Their window, seconds, 1–86400.
    pub frames_window_s: u64,
    /// Messages of the payment provider to this node, 1–1000000.
    pub webhooks: u32,
    /// Their window, seconds, 1–86400.
    pub webhooks_window_s: u64,
    /// Requests for health and metrics by an address, 1–1000000.
    pub health: u32,
    /// Their window, seconds, 1–86400.
    pub health_window_s: u64,
    /// Longest wait for Redis, which has the quotas of all nodes, milliseconds, 1–1000; then the node decides by itself.
    pub redis_timeout_ms: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            auth: 10,
            auth_window_s: 300,
            refresh: 10,
            refresh_window_s: 60,
            orders: 10,
            orders_window_s: 60,
            open_orders: 5,
            moves: 120,
            moves_window_s: 60,
            api: 200,
            api_window_s: 60,
            api_long: 1000,
            api_long_window_s: 600,
            public: 60,
            public_window_s: 60,
            // A device that comes back may mark each event of a whole ring as shown and as acted on, and a shop's devices
            // share an account: ten of them acknowledge and mark a hundred orders a minute.
            frames: 3000,
            frames_window_s: 60,
            // Far more than a provider sends by itself, less than a node stores.
            webhooks: 2000,
            webhooks_window_s: 1,
            // Ten supervisors behind one address ask once a second each.
            health: 600,
            health_window_s: 60,
            redis_timeout_ms: 20,
        }
    }
}

impl LimitSettings {
    /// The quota of each subject of a class.
    pub fn quota(&self, class: RateClass) -> Quota {
        let window = |count, seconds| Window::new(count, Duration::from_secs(seconds));
        match class {
            RateClass::Auth => window(self.auth, self.auth_window_s).into(),
            RateClass::Refresh => window(self.refresh, self.refresh_window_s).into(),
            RateClass::Orders => window(self.orders, self.orders_window_s).into(),
            RateClass::Moves => window(self.moves, self.moves_window_s).into(),
            RateClass::Api => Quota {
                short: window(self.api, self.api_window_s),
                long: Some(window(self.api_long, self.api_long_window_s)),
            },
            RateClass::Public => window(self.public, self.public_window_s).into(),
            RateClass::Frames => window(self.frames, self.frames_window_s).into(),
            RateClass::Webhooks => window(self.webhooks, self.webhooks_window_s).into(),
            RateClass::Health => window(self.health, self.health_window_s).into(),
        }
    }

    pub(in crate::http) fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("limits");
        for (name, count) in [
            ("auth", self.auth),
            ("refresh", self.refresh),
            ("orders", self.orders),
            ("moves", self.moves),
            ("api", self.api),
            ("api_long", self.api_long),
            ("public", self.public),
            ("frames", self.frames),
            ("webhooks", self.webhooks),
            ("health", self.health),
        ] {
            checks.range(name, count, 1..=1_000_000);
        }
        checks.range("open_orders", self.open_orders, 1..=1_000);
        for (name, seconds) in [
            ("auth_window_s", self.auth_window_s),
            ("refresh_window_s", self.refresh_window_s),
            ("orders_window_s", self.orders_window_s),
            ("moves_window_s", self.moves_window_s),
            ("api_window_s", self.api_window_s),
            ("api_long_window_s", self.api_long_window_s),
            ("public_window_s", self.public_window_s),
            ("frames_window_s", self.frames_window_s),
            ("webhooks_window_s", self.webhooks_window_s),
            ("health_window_s", self.health_window_s),
        ] {
            checks.range(name, seconds, 1..=86_400);
        }
        checks.range("redis_timeout_ms", self.redis_timeout_ms, 1..=1_000);
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_mark_a_whole_ring_as_shown_and_as_acted_on_within_its_frames() {
        let ring = crate::actors::settings::RoomSettings::default().ring_events;
        assert!(LimitSettings::default().frames as usize >= 2 * ring);
    }
}
