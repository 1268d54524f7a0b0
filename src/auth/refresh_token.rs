//! Refresh tokens: opaque to clients, derived from their family and generation, so that a response that was lost
//! can be given again although the store keeps only hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::ids::LoginSessionId;

/// Derives a key of its own, so that one secret may serve several purposes.
const DOMAIN: &[u8] = b"bellhop refresh token v1";

const PREFIX: &str = "rt_";

/// The reason a text is not one of our refresh tokens. Neither says whether its login session exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// Not in the form [`RefreshTokens::derive`] writes.
    #[error("the refresh token is malformed")]
    Malformed,
    /// In the right form, but made without the secret.
    #[error("the refresh token was not issued here")]
    Forged,
}

/// Derives and checks refresh tokens. A checked token was issued, or could have been; the store says whether its generation is
/// the present one.
#[derive(Debug)]
pub struct RefreshTokens {
    key: SecretBox<[u8; 32]>,
}

impl RefreshTokens {
    /// `secret` has to be the same on every node and for the 30 days a token lives; changing it ends all sessions.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: SecretBox::new(Box::new(hmac_sha256(secret, &[DOMAIN]))) }
    }

    /// The one token of this family and generation: `rt_<family>.<generation>.<base64url mac>`.
    pub fn derive(&self, family: LoginSessionId, generation: u32) -> String {
        let mac =
            hmac_sha256(self.key.expose_secret(), &[family.uuid().as_bytes(), &generation.to_be_bytes()]);
        format!("{PREFIX}{family}.{generation}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Reads family and generation out of a token, after a comparison in constant time with the one derived
    /// from them.
    ///
    /// # Errors
    /// Any text but the one that [`RefreshTokens::derive`] returns for what it names.
    pub fn parse_and_check(&self, token: &str) -> Result<(LoginSessionId, u32), RefreshTokenError> {
        let mut parts = token.strip_prefix(PREFIX).ok_or(RefreshTokenError::Malformed)?.split('.');
        let (Some(family), Some(generation), Some(_mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RefreshTokenError::Malformed);
        };
        let family = family.parse().map_err(|_| RefreshTokenError::Malformed)?;
        let generation = generation.parse().map_err(|_| RefreshTokenError::Malformed)?;
        let genuine = self.derive(family, generation);
        if bool::from(genuine.as_bytes().ct_eq(token.as_bytes())) {
            Ok((family, generation))
        } else {
            Err(RefreshTokenError::Forged)
        }
    }

    /// The SHA-256 of a token, which is all that the store keeps of it.
    pub fn stored_hash(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }
}

pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("hmac takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(b"a secret of the server, 32 bytes")
    }

    fn family(n: u128) -> LoginSessionId {
        LoginSessionId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn the_same_successor_is_derived_again_and_read_back() {
        let token = tokens().derive(family(1), 7);
        assert_eq!(tokens().derive(family(1), 7), token);
        assert_eq!(tokens().parse_and_check(&token), Ok((family(1), 7)));
        assert!(token.starts_with("rt_ses_00000000000000000000000000000001.7."));
    }

    #[test]
    fn family_generation_and_secret_each_make_another_token() {
        let mac = |token: String| token.rsplit_once('.').unwrap().1.to_owned();
        let base = mac(tokens().derive(family(1), 7));
        assert_ne!(mac(tokens().derive(family(2), 7)), base);
        assert_ne!(mac(tokens().derive(family(1), 8)), base);
        assert_ne!(mac(RefreshTokens::new(b"another").derive(family(1), 7)), base);
    }

    #[test]
    fn each_bad_token_is_refused_by_its_name() {
        use RefreshTokenError::{Forged, Malformed};
        let token = tokens().derive(family(1), 7);
        let mac = token.rsplit_once('.').unwrap().1;
        let ses = family(1);
        for (name, bad, error) in [
            ("empty", String::new(), Malformed),
            ("prefix alone", "rt_".to_owned(), Malformed),
            ("without prefix", token[3..].to_owned(), Malformed),
            ("without mac", format!("rt_{ses}.7"), Malformed),
            ("a fourth part", format!("{token}.x"), Malformed),
            ("id of another kind", token.replace("ses_", "usr_"), Malformed),
            ("generation not a number", format!("rt_{ses}.x.{mac}"), Malformed),
            ("generation below zero", format!("rt_{ses}.-7.{mac}"), Malformed),
            ("generation too large", format!("rt_{ses}.4294967296.{mac}"), Malformed),
            ("next generation", format!("rt_{ses}.8.{mac}"), Forged),
            ("generation written otherwise", format!("rt_{ses}.07.{mac}"), Forged),
            ("another family", format!("rt_{}.7.{mac}", family(2)), Forged),
            ("empty mac", format!("rt_{ses}.7."), Forged),
            ("padded mac", format!("{token}="), Forged),
            ("another secret", RefreshTokens::new(b"another").derive(ses, 7), Forged),
        ] {
            assert_eq!(tokens().parse_and_check(&bad), Err(error), "{name}");
        }
    }

    #[test]
    fn the_stored_hash_is_plain_sha_256() {
        let hex: String = RefreshTokens::stored_hash("abc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert!(format!("{:?}", tokens()).contains("REDACTED"));
    }

    proptest! {
        #[test]
        fn a_change_of_any_character_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
            let mut token = tokens().derive(family(1), 7);
            let at = at.index(token.len());
            prop_assume!(token[at..=at] != to);
            token.replace_range(at..=at, &to);
            prop_assert!(tokens().parse_and_check(&token).is_err());
        }
    }
}
