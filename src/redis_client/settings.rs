//! Settings of Redis.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem, redacted};

/// Most addresses of a cluster.
const MAX_URLS: usize = 32;

/// Most bytes of a prefix.
const MAX_PREFIX: usize = 64;

/// Settings of Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The server.
    pub redis: RedisSettings,
}

/// `[redis]`: the server through which nodes of one hub speak to each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSettings {
    /// `redis://user:password@host:6379/0`, or `rediss://…` for TLS; for a cluster several, separated by commas, of which one that
    /// answers is enough. Empty: there is none, unless `host` names one.
    #[serde(serialize_with = "redacted")]
    pub url: SecretString,
    /// Host of a server without a password, for where `url` is not set.
    pub host: String,
    /// Port of that host.
    pub port: u16,
    /// Whether it is a Redis Cluster. Several addresses are one anyway.
    pub cluster: bool,
    /// Begin of every key and channel, so that several hubs can share a server: 1–64 letters, digits, `-`, `_`, `.`.
    pub prefix: String,
    /// A file with the certificates (PEM) of the authority that signed the server's, in place of those that the system trusts.
    pub ca_file: String,
    /// Whether production may speak without TLS to a server on another machine.
    pub allow_plaintext: bool,
    /// Longest wait for a connection, milliseconds, 50–30000.
    pub connect_timeout_ms: u64,
    /// Longest wait for an answer, milliseconds, 5–10000.
    pub command_timeout_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            host: String::new(),
            port: 6379,
            cluster: false,
            prefix: "bellhop".to_owned(),
            ca_file: String::new(),
            allow_plaintext: false,
            connect_timeout_ms: 2000,
            command_timeout_ms: 250,
        }
    }
}

impl Settings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        self.redis.problems()
    }
}

impl RedisSettings {
    /// The addresses; none when there is no Redis. They may contain a password.
    pub(super) fn urls(&self) -> Vec<String> {
        let given = self.url.expose_secret().split(',').map(str::trim).filter(|url| !url.is_empty());
        let given: Vec<String> = given.map(str::to_owned).collect();
        if given.is_empty() && !self.host.is_empty() {
            let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
            return vec![format!("redis://{host}:{}", self.port)];
        }
        given
    }

    /// Whether there is a Redis.
    pub fn is_configured(&self) -> bool {
        !self.urls().is_empty()
    }

    /// Whether a server on another machine is reached without TLS, or without a check of its certificate.
    pub fn is_in_the_open(&self) -> bool {
        self.urls().iter().any(|url| {
            let Some(parsed) = redis::parse_redis_url(url) else { return false };
            let here = match parsed.host_str() {
                Some(host) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
                None => true,
            };
            let encrypted = matches!(parsed.scheme(), "rediss" | "valkeys") && parsed.fragment().is_none();
            !here && !encrypted
        })
    }

    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("redis");
        let urls = self.urls();
        let is_url = |url: &String| {
            redis::parse_redis_url(url).is_some_and(|url| {
                matches!(url.scheme(), "redis" | "rediss" | "valkey" | "valkeys") && url.has_host()
            })
        };
        if urls.len() > MAX_URLS || !urls.iter().all(is_url) {
            checks.refuse(
                "url",
                format!("must be redis://host:port/0 or rediss://host:port/0; for a cluster up to {MAX_URLS} of them with commas between"),
            );
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.prefix.is_empty() || self.prefix.len() > MAX_PREFIX || !self.prefix.chars().all(allowed) {
            checks.refuse("prefix", format!("must be 1 to {MAX_PREFIX} letters, digits, '-', '_' or '.'"));
        }
        checks.range("port", self.port, 1..=u16::MAX);
        checks.range("connect_timeout_ms", self.connect_timeout_ms, 50..=30_000);
        checks.range("command_timeout_ms", self.command_timeout_ms, 5..=10_000);
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> RedisSettings {
        RedisSettings { url: url.into(), ..RedisSettings::default() }
    }

    #[test]
    fn the_defaults_have_no_problems_and_no_redis() {
        assert_eq!(Settings::default().problems(), []);
        assert!(!RedisSettings::default().is_configured());
    }

    #[test]
    fn a_host_stands_in_for_a_missing_url() {
        let host = |host: &str| RedisSettings { host: host.to_owned(), ..RedisSettings::default() };
        assert_eq!(host("cache").urls(), ["redis://cache:6379"]);
        assert_eq!(host("::1").urls(), ["redis://[::1]:6379"]);
        let both = RedisSettings { host: "cache".to_owned(), ..with("redis://a:1, redis://b:2") };
        assert_eq!(both.urls(), ["redis://a:1", "redis://b:2"]);
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_without_being_shown() {
        for url in ["localhost", "http://a", "redis://", "redis://a,nonsense-hunter2", "unix:///tmp/redis"] {
            let found = with(url).problems();
            assert_eq!(found.len(), 1, "{url}");
            assert!(found[0].key == "redis.url" && !found[0].message.contains("hunter2"));
        }
        for prefix in ["", "a b", "{x}", "a:b"] {
            let settings = RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::default() };
            assert_eq!(settings.problems().len(), 1, "{prefix}");
        }
    }

    #[test]
    fn a_server_on_another_machine_is_in_the_open_without_tls() {
        for (url, open) in [
            ("redis://127.0.0.1", false),
            ("redis://[::1]:7000", false),
            ("redis://cache.example", true),
            ("rediss://cache.example", false),
            ("rediss://cache.example/#insecure", true),
            ("rediss://a.example,redis://b.example", true),
        ] {
            assert_eq!(with(url).is_in_the_open(), open, "{url}");
        }
    }
}
