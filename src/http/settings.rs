//! Settings of the HTTP interface: the listener, tokens, the documentation pages, drivers' accounts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use super::driver_settings::DriverSettings;
use super::limits::LimitSettings;
use super::middleware::cidr::Network;
use super::middleware::origin::is_origin;
use crate::settings::{Checks, SettingProblem, redacted};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Fewest bytes of `auth.secret_key`: as many as HS256 puts out (RFC 7518 §3.2).
pub const SECRET_KEY_BYTES: usize = 32;

/// Bounds of the time over which the clients of a hub that stops are told to come back: a second for each thousand sockets,
/// so that the other nodes take them, and short enough for a process that is killed after half a minute.
const LEAST_DRAIN_SPREAD: Duration = Duration::from_secs(5);
const MOST_DRAIN_SPREAD: Duration = Duration::from_secs(20);

/// The settings of the HTTP interface.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The listener.
    pub server: ServerSettings,
    /// Tokens and password hashes.
    pub auth: AuthSettings,
    /// The documentation pages.
    pub docs: DocsSettings,
    /// Drivers' accounts.
    pub drivers: DriverSettings,
    /// Quotas of requests.
    pub limits: LimitSettings,
    /// Operators' own listener and networks.
    pub ops: OpsSettings,
    /// Conditions of readiness.
    pub health: HealthSettings,
}

/// `[server]`: the listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Worker threads, at most 256; 0 means one for each core.
    pub workers: usize,
    /// Origins of other sites and of apps whose pages may call the API and open sockets, as `scheme://host[:port]`:
    /// `https://shop.example`, `capacitor://localhost`. Not `null`, which any page can have.
    pub allowed_origins: Vec<String>,
    /// Addresses or ranges (`10.0.0.0/8`) of proxies, whose `X-Forwarded-For` or else `X-Real-IP`, `X-Forwarded-Host` and
    /// `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<String>,
    /// Names this hub is asked by, without a port; requests for another one are refused with 421. Empty takes any.
    pub trusted_hosts: Vec<String>,
    /// Largest request body, 1 KiB–16 MiB; more is 413.
    pub body_bytes: usize,
    /// Longest time a client may take for its request head, seconds, 1–60.
    pub header_timeout_s: u64,
    /// Longest time a client may take for its request body, seconds, 1–300; more is 408.
    pub body_timeout_s: u64,
    /// Connections of one address that are no sockets, on one node, 1–1000000; those of `trusted_proxies` are not counted.
    pub connections_per_address: usize,
    /// Longest time that clients and requests get after the signal to stop, seconds, 0–26: writing the rest takes up to 4 more,
    /// and supervisors kill after 30.
    pub drain_s: u64,
    /// Time over which the clients of a hub that stops are told to come back, seconds, at most 20; 0 takes one for each thousand
    /// sockets, 5 at least.
    pub drain_spread_s: u64,
}

/// `[auth]`: tokens and password hashes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// Signs access tokens (HS256), at least 32 bytes.
    #[serde(serialize_with = "redacted")]
    pub secret_key: SecretString,
    /// `iss` of our tokens; tokens of another issuer are refused.
    pub issuer: String,
    /// `aud` of our tokens; tokens for another audience are refused.
    pub audience: String,
    /// Life of an access token, seconds, 1 to a day.
    pub access_ttl_s: u64,
    /// Life of a session since its last refresh, seconds, longer than an access token's, at most a year.
    pub refresh_ttl_s: u64,
    /// Memory of one argon2id hash, KiB, from 19456 (the least OWASP advises with two passes) to 1 GiB. Accounts keep the hash they
    /// have: once this was changed, the time of a refused sign-in tells which addresses are known.
    pub hash_memory_kib: u32,
    /// Passes of one argon2id hash, 2–10.
    pub hash_passes: u32,
}

/// `[docs]`: the documentation pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocsSettings {
    /// Whether `/docs` and `/openapi.json` are served.
    pub enabled: bool,
}

/// `[ops]`: what only operators see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpsSettings {
    /// `address:port` of a listener for `/metrics`, `/health/detailed` and `/api/v1/admin`, which are then nowhere else.
    /// Empty: they are on the main one, in production the first two for loopback and `ops.trusted_networks` only.
    pub bind: String,
    /// File from which `/metrics` has the time of the last backup. Empty: it does not.
    pub backup_status: PathBuf,
    /// Addresses or ranges that see `/metrics` and `/health/detailed` in production without `ops.bind`, besides loopback.
    pub trusted_networks: Vec<String>,
}

/// `[health]`: when the hub says that it is ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Whether it is not while the database does not answer. Off, so that an outage of the database does not take every
    /// node out and what is in memory can still be read.
    pub database_gates_ready: bool,
}

impl OpsSettings {
    /// The address of the operators' own listener; `None` without one (an address that is not valid is a problem at start).
    pub fn address(&self) -> Option<SocketAddr> {
        self.bind.parse().ok()
    }

    /// The ranges of `trusted_networks`; entries that are none are left out (they are problems at start).
    pub fn networks(&self) -> Vec<Network> {
        self.trusted_networks.iter().filter_map(|text| text.parse().ok()).collect()
    }

    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("ops");
        for error in self.trusted_networks.iter().filter_map(|text| text.parse::<Network>().err()) {
            checks.refuse("trusted_networks", error.to_string());
        }
        if !self.bind.is_empty() && self.address().is_none() {
            checks.refuse("bind", format!("'{}' is not address:port", self.bind));
        }
        checks.found()
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8000,
            workers: 0,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            trusted_hosts: Vec::new(),
            body_bytes: MIB,
            header_timeout_s: 10,
            body_timeout_s: 30,
            connections_per_address: 4096,
            drain_s: 25,
            drain_spread_s: 0,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            secret_key: SecretString::default(),
            issuer: "bellhop".to_owned(),
            audience: "bellhop".to_owned(),
            access_ttl_s: 3600,
            refresh_ttl_s: 30 * 86_400,
            hash_memory_kib: 19_456,
            hash_passes: 2,
        }
    }
}

impl Default for DocsSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Settings {
    /// The problems of these settings. A secret that is not set at all is not checked here.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = self.server.problems();
        problems.extend(self.auth.problems());
        problems.extend(self.limits.problems());
        problems.extend(self.ops.problems());
        problems.extend(self.drivers.problems());
        problems
    }
}

impl ServerSettings {
    /// The number of worker threads: that of cores unless a number is set.
    pub fn worker_threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            configured => configured,
        }
    }

    /// Time over which so many clients are told to come back.
    pub fn drain_spread(&self, sockets: usize) -> Duration {
        match self.drain_spread_s {
            0 => {
                let by_sockets = Duration::from_millis(u64::try_from(sockets).unwrap_or(u64::MAX));
                by_sockets.clamp(LEAST_DRAIN_SPREAD, MOST_DRAIN_SPREAD)
            }
            seconds => Duration::from_secs(seconds),
        }
    }

    /// The ranges of `trusted_proxies`; entries that are none are left out (they are problems at start).
    pub fn trusted_networks(&self) -> Vec<Network> {
        self.trusted_proxies.iter().filter_map(|text| text.parse().ok()).collect()
    }

    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("server");
        checks.range("workers", self.workers, 0..=256);
        for origin in self.allowed_origins.iter().filter(|origin| !is_origin(origin)) {
            let why = match origin.as_str() {
                "null" => "'null' is what every page without an origin of its own sends, of whoever: serve yours by a scheme and host".to_owned(),
                _ => format!("'{origin}' is not scheme://host[:port] in lower case, without a path"),
            };
            checks.refuse("allowed_origins", why);
        }
        for error in self.trusted_proxies.iter().filter_map(|text| text.parse::<Network>().err()) {
            checks.refuse("trusted_proxies", error.to_string());
        }
        checks.range("body_bytes", self.body_bytes, KIB..=16 * MIB);
        checks.range("header_timeout_s", self.header_timeout_s, 1..=60);
        checks.range("body_timeout_s", self.body_timeout_s, 1..=300);
        checks.range("connections_per_address", self.connections_per_address, 1..=1_000_000);
        for host in self.trusted_hosts.iter().filter(|host| !is_host(host)) {
            checks.refuse("trusted_hosts", format!("'{host}' is not a lower-case name without a port"));
        }
        checks.range("drain_s", self.drain_s, 0..=26);
        checks.range("drain_spread_s", self.drain_spread_s, 0..=MOST_DRAIN_SPREAD.as_secs());
        checks.found()
    }
}

impl AuthSettings {
    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("auth");
        let length = self.secret_key.expose_secret().len();
        if (1..SECRET_KEY_BYTES).contains(&length) {
            checks.refuse("secret_key", format!("needs at least {SECRET_KEY_BYTES} bytes"));
        }
        for (name, value) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if value.is_empty() {
                checks.refuse(name, "must not be empty");
            }
        }
        checks.range("access_ttl_s", self.access_ttl_s, 1..=86_400);
        checks.range("refresh_ttl_s", self.refresh_ttl_s, self.access_ttl_s.saturating_add(1)..=365 * 86_400);
        checks.range("hash_memory_kib", self.hash_memory_kib, 19_456..=1_048_576);
        checks.range("hash_passes", self.hash_passes, 2..=10);
        checks.found()
    }
}

/// A host as a request asks for it: lower case, without a port.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
        || text.strip_prefix('[').is_some_and(|rest| rest.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(Settings::default().problems(), []);
    }

    #[test]
    fn a_drain_that_leaves_no_time_to_end_within_half_a_minute_is_refused() {
        let problems = |drain_s| ServerSettings { drain_s, ..Default::default() }.problems().len();
        assert_eq!([0, 26, 27].map(problems), [0, 0, 1]);
    }

    #[test]
    fn clients_are_told_over_a_second_for_each_thousand_between_5_and_20() {
        let server = ServerSettings::default();
        let spread =
            [0, 5_000, 7_500, 20_000, 1_000_000].map(|sockets| server.drain_spread(sockets).as_millis());
        assert_eq!(spread, [5_000, 5_000, 7_500, 20_000, 20_000]);
        let set = ServerSettings { drain_spread_s: 3, ..Default::default() };
        assert_eq!(set.drain_spread(20_000), Duration::from_secs(3));
        assert_eq!(ServerSettings { drain_spread_s: 21, ..Default::default() }.problems().len(), 1);
    }

    #[test]
    fn every_wrong_entry_of_a_list_is_named() {
        let server = ServerSettings {
            trusted_proxies: vec!["10.0.0.0/8".to_owned(), "proxy".to_owned(), "::/200".to_owned()],
            ..Default::default()
        };
        let problems = server.problems();
        assert_eq!(problems.len(), 2);
        assert!(problems[1].message.contains("::/200"));
        assert_eq!(server.trusted_networks().len(), 1);
    }

    #[test]
    fn a_short_key_is_a_problem_and_a_missing_one_is_left_to_the_loader() {
        let short = AuthSettings { secret_key: "x".repeat(31).into(), ..Default::default() };
        assert_eq!(short.problems().len(), 1);
        let enough = AuthSettings { secret_key: "x".repeat(32).into(), ..Default::default() };
        assert_eq!(enough.problems(), []);
        assert_eq!(AuthSettings::default().problems(), []);
    }
}
