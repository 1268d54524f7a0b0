//! `[limits]`: how often who may ask for what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Class;
use crate::domain::quota::Quota;
use crate::settings::{Checks, Problem};

/// `[limits]`: requests in a window, for each user, or for each address of those who are not signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Sign-ups and sign-ins, 1–1000000.
    pub auth: u32,
    /// Their window, seconds, 1–86400.
    pub auth_window_s: u64,
    /// Refreshes of one sign-in, 1–1000000.
    pub refresh: u32,
    /// Their window, seconds, 1–86400.
    pub refresh_window_s: u64,
    /// Orders placed, 1–1000000.
    pub orders: u32,
    /// Their window, seconds, 1–86400.
    pub orders_window_s: u64,
    /// Everything else by somebody signed in, 1–1000000.
    pub api: u32,
    /// Its window, seconds, 1–86400.
    pub api_window_s: u64,
    /// So much of it at once, 1–1000000.
    pub api_burst: u32,
    /// Everything by somebody not signed in, 1–1000000.
    pub public: u32,
    /// Its window, seconds, 1–86400.
    pub public_window_s: u64,
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
            api: 100,
            api_window_s: 60,
            api_burst: 200,
            public: 60,
            public_window_s: 60,
        }
    }
}

impl LimitSettings {
    /// What a class may spend, with the window it is told by.
    pub fn quota(&self, class: Class) -> (Quota, u32, Duration) {
        let (count, window_s, burst) = match class {
            Class::Auth => (self.auth, self.auth_window_s, self.auth),
            Class::Refresh => (self.refresh, self.refresh_window_s, self.refresh),
            Class::Orders => (self.orders, self.orders_window_s, self.orders),
            Class::Api => (self.api, self.api_window_s, self.api_burst),
            Class::Public => (self.public, self.public_window_s, self.public),
        };
        let window = Duration::from_secs(window_s);
        (Quota::new(count, window, burst), count, window)
    }

    pub(in crate::http) fn problems(&self) -> Vec<Problem> {
        let mut checks = Checks::of("limits");
        for (name, count) in [
            ("auth", self.auth),
            ("refresh", self.refresh),
            ("orders", self.orders),
            ("api", self.api),
            ("api_burst", self.api_burst),
            ("public", self.public),
        ] {
            checks.range(name, count, 1..=1_000_000);
        }
        for (name, seconds) in [
            ("auth_window_s", self.auth_window_s),
            ("refresh_window_s", self.refresh_window_s),
            ("orders_window_s", self.orders_window_s),
            ("api_window_s", self.api_window_s),
            ("public_window_s", self.public_window_s),
        ] {
            checks.range(name, seconds, 1..=86_400);
        }
        checks.found()
    }
}
