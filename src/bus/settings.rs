//! Settings of the bus.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::settings::{Checks, SettingProblem, redacted};

/// Fewest bytes of a key.
const KEY_BYTES: usize = 32;

/// Settings of the bus.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Its keys.
    pub bus: BusSettings,
}

/// `[bus]`: the keys by which nodes know that a message is of their hub.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSettings {
    /// Authenticates messages, at least 32 bytes. Empty: it is derived from `auth.secret_key`.
    #[serde(serialize_with = "redacted")]
    pub key: SecretString,
    /// Accepted beside it, for the time of a rotation.
    #[serde(serialize_with = "redacted")]
    pub previous_key: SecretString,
}

impl Settings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("bus");
        for (name, key) in [("key", &self.bus.key), ("previous_key", &self.bus.previous_key)] {
            if (1..KEY_BYTES).contains(&key.expose_secret().len()) {
                let advice = "make one with `openssl rand -base64 48`";
                checks.refuse(name, format!("must have at least {KEY_BYTES} bytes: {advice}"));
            }
        }
        checks.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_refused_and_an_empty_one_is_none() {
        assert_eq!(Settings::default().problems(), []);
        let bus = BusSettings { key: "k".repeat(31).into(), previous_key: "k".repeat(32).into() };
        assert_eq!(Settings { bus }.problems().len(), 1);
    }
}
