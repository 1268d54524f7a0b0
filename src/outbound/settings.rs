//! Settings of calls to the outside.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::domain::string_enum::string_enum;
use crate::settings::{Checks, SettingProblem, redacted, redacted_list};

const DAY_S: u64 = 24 * 3600;

/// Fewest bytes of a secret that signs messages.
const SECRET_BYTES: usize = 16;

/// Most secrets that are tried for one message.
const MAX_SECRETS: usize = 8;

/// Settings of calls to the outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The payment provider.
    pub payments: PaymentSettings,
}

string_enum! {
    /// The payment provider that is used.
    pub enum ProviderKind {
        /// There is none: no order can be paid online.
        None = "none",
        /// One in this process, for development: it never pays by itself, and every refund succeeds.
        Simulated = "simulated",
        /// One that is called over HTTP.
        Http = "http",
    }
}

/// `[payments]`: the payment provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentSettings {
    /// `none`, `simulated` or `http`.
    pub provider: ProviderKind,
    /// The address of the provider, without a slash at the end.
    pub url: String,
    /// What the hub shows the provider in `Authorization: Bearer`.
    #[serde(serialize_with = "redacted")]
    pub api_key: SecretString,
    /// The secrets that may have signed a message of the provider; one for the time of a rotation beside the new one. 1–8, each of at
    /// least 16 bytes.
    #[serde(serialize_with = "redacted_list")]
    pub webhook_secrets: Vec<SecretString>,
    /// An order that is not paid this long after its creation is cancelled, seconds, 1 to a day.
    pub unpaid_s: u64,
    /// How long the provider knows an idempotency key for certain, seconds, 0 to 30 days. A call that is older is repeated only after the
    /// provider has said that it does not know it.
    pub key_ttl_s: u64,
    /// Whether owners of a business may demand refunds, not only operators.
    pub owner_refunds: bool,
    /// Whether every message of the provider about a refund of the hub names it. One that names none is about money that somebody else
    /// gave back then.
    pub names_refunds: bool,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self {
            provider: ProviderKind::None,
            url: String::new(),
            api_key: SecretString::default(),
            webhook_secrets: Vec::new(),
            unpaid_s: 900,
            key_ttl_s: 82_800,
            owner_refunds: false,
            names_refunds: false,
        }
    }
}

impl Settings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        self.payments.problems()
    }
}

impl PaymentSettings {
    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("payments");
        if self.provider == ProviderKind::Http {
            match Url::parse(&self.url) {
                Ok(url) if is_address(&url) => {}
                _ => checks.refuse("url", "must be https://host/path, without an account, '?' and '#'"),
            }
            if self.api_key.expose_secret().is_empty() {
                checks.refuse("api_key", "must be set where payments.provider is http");
            } else if !self.api_key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
                checks.refuse("api_key", "must be ASCII without spaces");
            }
            if self.webhook_secrets.is_empty() {
                checks.refuse("webhook_secrets", "must be set where payments.provider is http");
            }
        }
        if self.webhook_secrets.len() > MAX_SECRETS {
            checks.refuse("webhook_secrets", format!("must be at most {MAX_SECRETS}"));
        }
        if self.webhook_secrets.iter().any(|secret| secret.expose_secret().len() < SECRET_BYTES) {
            checks.refuse("webhook_secrets", format!("must have at least {SECRET_BYTES} bytes each"));
        }
        checks.range("unpaid_s", self.unpaid_s, 1..=DAY_S);
        checks.range("key_ttl_s", self.key_ttl_s, 0..=30 * DAY_S);
        checks.found()
    }

    /// Whether the provider is called without encryption on another machine.
    pub fn is_in_the_open(&self) -> bool {
        let on_this_machine = |url: &Url| {
            url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
        };
        self.provider == ProviderKind::Http
            && Url::parse(&self.url).is_ok_and(|url| url.scheme() == "http" && !on_this_machine(&url))
    }
}

fn is_address(url: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && plain
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> PaymentSettings {
        PaymentSettings {
            provider: ProviderKind::Http,
            url: "https://pay.example/v1".to_owned(),
            api_key: "a-key".into(),
            webhook_secrets: vec!["0123456789abcdef".into()],
            ..PaymentSettings::default()
        }
    }

    fn keys(settings: &PaymentSettings) -> Vec<String> {
        settings.problems().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn a_provider_over_http_needs_an_address_a_key_and_a_secret() {
        assert_eq!(keys(&http()), Vec::<String>::new());
        assert_eq!(keys(&PaymentSettings::default()), Vec::<String>::new());
        let nothing = PaymentSettings { provider: ProviderKind::Http, ..PaymentSettings::default() };
        assert_eq!(keys(&nothing), ["payments.url", "payments.api_key", "payments.webhook_secrets"]);
        for url in ["pay.example", "ftp://pay.example", "https://a:b@pay.example", "https://pay.example/?a=b"]
        {
            assert_eq!(keys(&PaymentSettings { url: url.to_owned(), ..http() }), ["payments.url"], "{url}");
        }
    }

    #[test]
    fn every_value_out_of_its_range_is_named() {
        let wrong = PaymentSettings {
            webhook_secrets: vec!["short".into()],
            unpaid_s: 0,
            key_ttl_s: 31 * DAY_S,
            ..http()
        };
        assert_eq!(keys(&wrong), ["payments.webhook_secrets", "payments.unpaid_s", "payments.key_ttl_s"]);
    }

    #[test]
    fn plain_http_to_another_machine_is_in_the_open() {
        for (url, open) in [
            ("https://pay.example", false),
            ("http://pay.example", true),
            ("http://127.0.0.1:9000", false),
            ("http://[::1]:9000/x", false),
            ("http://localhost", false),
            ("http://localhost.example", true),
        ] {
            let settings = PaymentSettings { url: url.to_owned(), ..http() };
            assert_eq!(settings.is_in_the_open(), open, "{url}");
        }
    }
}
