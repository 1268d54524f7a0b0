//! The keys by which nodes know that a message is of their hub.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

use super::settings::BusSettings;

/// Bytes of a key and of a message authentication code.
pub(super) const KEY_BYTES: usize = 32;

/// Derives keys of their own, so that one secret may serve several purposes.
const SALT: &[u8] = b"bellhop";
const INFO: &[u8] = b"bellhop bus v1";

/// The key that authenticates what this node sends, and those that it accepts. `Debug` shows none.
#[derive(Debug)]
pub struct BusKeys {
    own: SecretBox<[u8; KEY_BYTES]>,
    previous: Option<SecretBox<[u8; KEY_BYTES]>>,
}

impl BusKeys {
    /// Keys of the settings; `secret`, the hub's, stands in for a key that is not set.
    pub fn new(settings: &BusSettings, secret: &[u8]) -> Self {
        let derive = |secret: &[u8]| SecretBox::new(Box::new(hkdf(secret)));
        let (key, previous) = (settings.key.expose_secret(), settings.previous_key.expose_secret());
        let own = derive(if key.is_empty() { secret } else { key.as_bytes() });
        Self { own, previous: (!previous.is_empty()).then(|| derive(previous.as_bytes())) }
    }

    /// The code of these parts.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        mac(self.own.expose_secret(), parts).finalize().into_bytes().into()
    }

    /// Whether a node with one of the keys made this code; compared in constant time.
    pub(super) fn accept(&self, code: &[u8], parts: &[&[u8]]) -> bool {
        let keys = [Some(&self.own), self.previous.as_ref()];
        keys.into_iter().flatten().any(|key| mac(key.expose_secret(), parts).verify_slice(code).is_ok())
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// HKDF-SHA-256 (RFC 5869) with the output of one block.
fn hkdf(secret: &[u8]) -> [u8; KEY_BYTES] {
    let extracted = mac(SALT, &[secret]).finalize().into_bytes();
    mac(&extracted, &[INFO, &[1]]).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key: &str, previous: &str) -> BusKeys {
        BusKeys::new(&BusSettings { key: key.into(), previous_key: previous.into() }, b"the hub's secret")
    }

    #[test]
    fn nodes_with_the_same_secret_or_key_accept_each_other_and_others_not() {
        let (derived, own) = (keys("", ""), keys("another key", ""));
        let parts: [&[u8]; 2] = [b"channel", b"message"];
        assert!(derived.accept(&keys("", "").sign(&parts), &parts));
        assert!(!derived.accept(&own.sign(&parts), &parts) && !own.accept(&derived.sign(&parts), &parts));
        assert!(!own.accept(&own.sign(&parts), &[b"channel", b"massage"]));
        assert!(!own.accept(&own.sign(&parts)[..31], &parts) && !own.accept(b"", &parts));
    }

    #[test]
    fn keys_change_over_without_a_moment_in_which_nodes_do_not_hear_each_other() {
        let steps = [("old", ""), ("old", "new"), ("new", "old"), ("new", "")].map(|(a, b)| keys(a, b));
        for pair in steps.windows(2) {
            let signs = |from: &BusKeys, to: &BusKeys| to.accept(&from.sign(&[b"m"]), &[b"m"]);
            assert!(signs(&pair[0], &pair[1]) && signs(&pair[1], &pair[0]));
        }
        assert!(!steps[3].accept(&steps[0].sign(&[b"m"]), &[b"m"]));
    }
}
