//! Signatures of messages that a payment provider sends: over the raw body, with one of the secrets that it shares with the hub.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use crate::domain::time::Timestamp;

use super::refresh_token::hmac_sha256;

/// How far the time in a message of Standard Webhooks may lie from the hub's, before and after.
pub const WEBHOOK_TOLERANCE: Duration = Duration::from_secs(300);

/// The beginning of a secret that is written as Standard Webhooks writes it: base64 of the key follows.
const STANDARD_SECRET: &str = "whsec_";

/// Most signatures of one message that are looked at: a sender that rotates its secrets signs with two.
const MAX_SIGNATURES: usize = 10;

/// The secrets that the provider may sign with, any of them; while one is replaced there are two. Without any no message is genuine.
#[derive(Debug, Default)]
pub struct WebhookSecrets(Vec<SecretBox<Vec<u8>>>);

/// What a message says about its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedMessage<'a> {
    /// `X-Signature: sha256=<hex>`.
    Body {
        /// The header as it came.
        signature: &'a str,
    },
    /// The headers of Standard Webhooks.
    Standard {
        /// `webhook-id`
        id: &'a str,
        /// `webhook-timestamp`: seconds since 1970.
        timestamp: &'a str,
        /// `webhook-signature`: `v1,<base64>`, several with spaces between.
        signatures: &'a str,
    },
}

impl WebhookSecrets {
    /// The secrets as they are configured: any text, or `whsec_` and base64.
    pub fn new(secrets: &[SecretString]) -> Self {
        let of_one = |secret: &SecretString| SecretBox::new(Box::new(key(secret.expose_secret())));
        Self(secrets.iter().map(of_one).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the secrets has signed this body, and not too long ago where the message says when. Every secret is
    /// compared in constant time.
    pub fn check(&self, signed: SignedMessage<'_>, body: &[u8], now: Timestamp) -> bool {
        match signed {
            SignedMessage::Body { signature } => {
                let Some(shown) = signature.trim().strip_prefix("sha256=").and_then(unhex) else {
                    return false;
                };
                self.any(|key| hmac_sha256(key, &[body]).ct_eq(&shown))
            }
            SignedMessage::Standard { id, timestamp, signatures } => {
                let is_recent = timestamp.parse::<u32>().is_ok_and(|seconds| {
                    let at = Timestamp::from_unix_seconds(i64::from(seconds));
                    let apart = if at > now { at.since(now) } else { now.since(at) };
                    apart <= WEBHOOK_TOLERANCE
                });
                let shown: Vec<[u8; 32]> = signatures
                    .split_whitespace()
                    .filter_map(|one| one.strip_prefix("v1,"))
                    .take(MAX_SIGNATURES)
                    .filter_map(|text| STANDARD.decode(text).ok()?.try_into().ok())
                    .collect();
                let is_signed = self.any(|key| {
                    let genuine = standard_mac(key, id, timestamp, body);
                    shown.iter().fold(Choice::from(0), |found, one| found | genuine.ct_eq(one))
                });
                is_recent && is_signed
            }
        }
    }

    fn any(&self, is_of: impl Fn(&[u8]) -> Choice) -> bool {
        let found = self.0.iter().fold(Choice::from(0), |found, key| found | is_of(key.expose_secret()));
        found.into()
    }

    /// The value of `X-Signature` with the first secret, for those who play the provider; `None` without a secret.
    pub fn sign(&self, body: &[u8]) -> Option<String> {
        let mac = hmac_sha256(self.0.first()?.expose_secret(), &[body]);
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("sha256={hex}"))
    }
}

/// The bytes that a secret signs with.
fn key(secret: &str) -> Vec<u8> {
    let standard = secret.strip_prefix(STANDARD_SECRET).and_then(|text| STANDARD.decode(text).ok());
    standard.unwrap_or_else(|| secret.as_bytes().to_vec())
}

fn standard_mac(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    hmac_sha256(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn secrets(all: &[&str]) -> WebhookSecrets {
        WebhookSecrets::new(&all.iter().map(|text| SecretString::from(*text)).collect::<Vec<_>>())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn standard(secret: &str, id: &str, seconds: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(standard_mac(&key(secret), id, &seconds.to_string(), body)))
    }

    #[test]
    fn a_body_that_one_of_the_secrets_has_signed_is_genuine_and_no_other() {
        let (old, new, both) = (secrets(&["old"]), secrets(&["new"]), secrets(&["new", "old"]));
        let body = br#"{"status":"SUCCESS"}"#;
        let is = |known: &WebhookSecrets, signature: &str, body: &[u8]| {
            known.check(SignedMessage::Body { signature }, body, at(NOW))
        };
        let signature = old.sign(body).unwrap();
        assert!(is(&old, &signature, body) && is(&both, &signature, body));
        assert!(
            is(&both, &new.sign(body).unwrap(), body)
                && is(&old, &signature.to_uppercase().replace("SHA", "sha"), body)
        );
        assert!(!is(&new, &signature, body) && !is(&both, &signature, b"{}"));
        assert!(!is(&secrets(&[]), &signature, body), "without a secret nothing is genuine");
        for bad in [
            "",
            "sha256=",
            "sha256=zz",
            &signature[7..],
            &signature[..70],
            "sha256=ü",
            &format!("{signature}00"),
        ] {
            assert!(!is(&both, bad, body), "{bad}");
        }
    }

    #[test]
    fn the_known_answer_of_hmac_sha256_is_the_signature() {
        let signature = secrets(&["Jefe"]).sign(b"what do ya want for nothing?").unwrap();
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_message_of_standard_webhooks_is_genuine_for_five_minutes() {
        // The example of the specification.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signatures = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let signed = SignedMessage::Standard { id, timestamp: "1614265330", signatures };
        assert!(secrets(&[secret]).check(signed, body, at(1_614_265_330)));
        let known = secrets(&["other", secret]);
        for (now, genuine) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            assert_eq!(known.check(signed, body, at(1_614_265_330 + now)), genuine, "{now}");
        }
        assert!(!known.check(
            SignedMessage::Standard { id: "msg_other", timestamp: "1614265330", signatures },
            body,
            at(1_614_265_330)
        ));
    }

    #[test]
    fn any_signature_of_a_message_may_be_the_one_and_its_time_is_signed() {
        let (known, body) = (secrets(&["a secret"]), b"{}");
        let good = standard("a secret", "m", NOW, body);
        let is = |timestamp: &str, signatures: &str| {
            known.check(SignedMessage::Standard { id: "m", timestamp, signatures }, body, at(NOW))
        };
        let now = NOW.to_string();
        assert!(is(&now, &good) && is(&now, &format!("v1,AAAA v1a,xyz {good}")));
        assert!(!is(&(NOW + 1).to_string(), &good), "the time is signed as well");
        for (timestamp, signatures) in
            [("", good.as_str()), ("soon", &good), ("-1", &good), (&now, ""), (&now, &good[3..])]
        {
            assert!(!is(timestamp, signatures), "{timestamp} {signatures}");
        }
    }
}
