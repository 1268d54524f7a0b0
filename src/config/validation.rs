//! Validation of settings that could be read.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::{Environment, SettingProblem, Settings};
use crate::http::settings::SECRET_KEY_BYTES;
use crate::outbound::ProviderKind;
use crate::settings::Checks;

/// Words in keys that were copied from an example. 32 random bytes in base64 do not contain them by chance.
const PLACEHOLDERS: [&str; 7] =
    ["changeme", "change-me", "change_me", "change-in", "your-secret", "your_secret", "placeholder"];

/// A key with fewer different bytes than this was typed, not generated: even of 32 random hexadecimal digits, 8 or fewer differ only
/// once in 10^17 keys.
const MIN_DIFFERENT_BYTES: usize = 8;

/// Every problem of all modules; outside of development also missing and weak secrets.
pub(super) fn problems(settings: &Settings) -> Vec<SettingProblem> {
    let mut problems = settings.http.problems();
    problems.extend(settings.storage.problems());
    problems.extend(settings.actors.problems());
    problems.extend(settings.outbound.problems());
    problems.extend(settings.redis.problems());
    problems.extend(settings.bus.problems());
    problems.extend(settings.telemetry.problems());
    match settings.environment {
        Environment::Development => {}
        Environment::Staging | Environment::Production => {
            problems.extend(weak_secrets(settings));
            problems.extend(unsafe_payments(settings));
            problems.extend(unsafe_redis(settings));
        }
    }
    problems
}

/// What may be used for payments in development only.
fn unsafe_payments(settings: &Settings) -> Vec<SettingProblem> {
    let (payments, mut checks) = (&settings.outbound.payments, Checks::of("payments"));
    if payments.provider == ProviderKind::Simulated && settings.environment == Environment::Production {
        checks.refuse("provider", "must be none or http in production: simulated is for development");
    }
    if payments.is_in_the_open() {
        checks.refuse("url", "must begin with https:// except for this machine");
    }
    let secrets = &payments.webhook_secrets;
    let weak = |secret: &str| is_copied(secret) || is_typed(secret.as_bytes());
    if secrets.iter().any(|secret| weak(secret.expose_secret())) {
        checks.refuse("webhook_secrets", "must be random: take those of the provider");
    }
    checks.found()
}

/// What may be said to Redis and to other nodes in development only.
fn unsafe_redis(settings: &Settings) -> Vec<SettingProblem> {
    let (redis, mut checks) = (&settings.redis.redis, Checks::of("redis"));
    if settings.environment == Environment::Production && redis.is_in_the_open() && !redis.allow_plaintext {
        let advice = "set redis.allow_plaintext if nobody else is in that network";
        checks.refuse("url", format!("must begin with rediss:// except for this machine: {advice}"));
    }
    let mut problems = checks.found();
    let (bus, mut checks) = (&settings.bus.bus, Checks::of("bus"));
    for (name, key) in [("key", &bus.key), ("previous_key", &bus.previous_key)] {
        let key = key.expose_secret();
        if !key.is_empty() && (is_copied(key) || is_typed(key.as_bytes())) {
            checks.refuse(name, "must be random: make one with `openssl rand -base64 48`");
        }
    }
    problems.extend(checks.found());
    problems
}

fn weak_secrets(settings: &Settings) -> Vec<SettingProblem> {
    let environment = settings.environment;
    let mut auth = Checks::of("auth");
    let secret_key = settings.http.auth.secret_key.expose_secret();
    if secret_key.is_empty() {
        auth.refuse("secret_key", format!("must be set in {environment}: try `openssl rand -base64 48`"));
    } else if is_copied(secret_key) {
        auth.refuse("secret_key", "was copied from an example: make one with `openssl rand -base64 48`");
    } else if secret_key.len() >= SECRET_KEY_BYTES && is_typed(secret_key.as_bytes()) {
        auth.refuse("secret_key", "repeats a few characters: make one with `openssl rand -base64 48`");
    }

    let mut encryption = Checks::of("encryption");
    if settings.storage.encryption.keys.is_empty() {
        let advice = "try `echo k1:$(openssl rand -base64 32)`";
        encryption.refuse("keys", format!("must be set in {environment}: {advice}"));
    }
    for key in settings.storage.encryption.decoded().unwrap_or_default() {
        if is_typed(key.key.expose_secret()) {
            encryption.refuse("keys", format!("key {} is not random", key.id));
        }
    }

    let mut problems = auth.found();
    problems.extend(encryption.found());
    problems
}

fn is_copied(secret: &str) -> bool {
    let secret = secret.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|placeholder| secret.contains(placeholder))
}

fn is_typed(secret: &[u8]) -> bool {
    secret.iter().collect::<BTreeSet<_>>().len() < MIN_DIFFERENT_BYTES
}
