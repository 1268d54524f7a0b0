//! Encryption at rest: what names a person is readable only with the keys, and only in the row it was written to.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

/// Which key sealed a value: 1–16 of `a-z`, `0-9`, `_`, `-`; stored in clear beside every sealed value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

/// A text that is not a key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 1 to 16 of a-z, 0-9, _ and -")]
pub struct KeyIdError;

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let lawful = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=16).contains(&text.len()) && text.bytes().all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyIdError)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 24 bytes that seal one value. At this length random ones never repeat, so no counter is kept; it cannot be
/// copied, so that none is used twice.
#[derive(Debug)]
pub struct Nonce([u8; 24]);

impl Nonce {
    /// From the system's random source. Only shells call this.
    ///
    /// # Errors
    /// The system has no random source to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Wraps bytes that its caller drew at random.
    pub const fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }
}

/// The place a sealed value belongs to. Moved to another row, column or table it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Aad<'a> {
    /// Name of the table.
    pub table: &'static str,
    /// Name of the column.
    pub column: &'static str,
    /// The row's primary key as text; it has to stay the same for the row's life.
    pub row: &'a str,
}

impl Aad<'_> {
    /// Each part after its length: no two places share an encoding.
    fn to_bytes(self) -> Vec<u8> {
        let parts = [VERSION, self.table, self.column, self.row];
        parts
            .iter()
            .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes()))
            .collect()
    }
}

/// Why a cipher cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is no key to seal with.
    #[error("no encryption key is given")]
    Empty,
    /// Two keys share an id.
    #[error("the encryption key {0} is given twice")]
    Duplicate(KeyId),
}

/// Why a sealed value stays shut. None of them shows any of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// Not a text that [`Cipher::seal`] writes.
    #[error("the sealed value is malformed")]
    Malformed,
    /// The key it was sealed with is not among those given; carries the id, cut to 16 characters.
    #[error("the sealed value needs the key {0}, which is not configured")]
    UnknownKey(String),
    /// Changed since it was sealed, moved from another place, or sealed with another key of that id.
    #[error("the sealed value does not belong to this place and key")]
    Tampered,
    /// Over the 256 GiB one nonce can seal.
    #[error("the value is too long to seal")]
    TooLong,
}

const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;

/// Seals with the first of its keys and opens with any of them, by XChaCha20-Poly1305. Its `Debug` shows key ids only.
pub struct Cipher {
    keys: Vec<(KeyId, SecretBox<[u8; 32]>)>,
    mac_secret: SecretBox<[u8; 32]>,
}

impl Cipher {
    /// `keys` in order, the current one first, then those that older rows were sealed with. `mac_secret` is apart
    /// from them because what [`Cipher::mac`] returned has to be found again after the keys rotated.
    ///
    /// # Errors
    /// No key, or two with one id.
    pub fn new(
        keys: Vec<(KeyId, SecretBox<[u8; 32]>)>,
        mac_secret: SecretBox<[u8; 32]>,
    ) -> Result<Self, KeysError> {
        if keys.is_empty() {
            return Err(KeysError::Empty);
        }
        for (i, (id, _)) in keys.iter().enumerate() {
            if keys[..i].iter().any(|(earlier, _)| earlier == id) {
                return Err(KeysError::Duplicate(id.clone()));
            }
        }
        Ok(Self { keys, mac_secret })
    }

    /// Seals `plain` with the current key for the place `aad`, as `v1.<key id>.<base64url of nonce, text and tag>`:
    /// 58 characters and the id more than 4/3 of the text.
    ///
    /// # Errors
    /// Only [`CipherError::TooLong`].
    pub fn seal(&self, aad: Aad<'_>, plain: &str, nonce: Nonce) -> Result<String, CipherError> {
        let (id, key) = &self.keys[0];
        let payload = Payload { msg: plain.as_bytes(), aad: &aad.to_bytes() };
        let sealed = aead(key).encrypt(&XNonce::from(nonce.0), payload).map_err(|_| CipherError::TooLong)?;
        Ok(format!("{VERSION}.{id}.{}", URL_SAFE_NO_PAD.encode([&nonce.0[..], &sealed].concat())))
    }

    /// Whether the current key sealed this.
    pub fn is_current(&self, sealed: &str) -> bool {
        let mut parts = sealed.splitn(3, '.');
        parts.next() == Some(VERSION) && parts.next() == Some(&self.keys[0].0.0)
    }

    /// Opens what [`Cipher::seal`] returned for the same place, with whichever key it names.
    ///
    /// # Errors
    /// Any change of a byte or of the place, or a key that is not there.
    pub fn open(&self, aad: Aad<'_>, sealed: &str) -> Result<SecretString, CipherError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(VERSION), Some(id), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CipherError::Malformed);
        };
        let Some((_, key)) = self.keys.iter().find(|(known, _)| known.0 == id) else {
            return Err(CipherError::UnknownKey(id.chars().take(16).collect()));
        };
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| CipherError::Malformed)?;
        let (nonce, body) = body.split_first_chunk::<NONCE_BYTES>().ok_or(CipherError::Malformed)?;
        let payload = Payload { msg: body, aad: &aad.to_bytes() };
        let plain = aead(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| CipherError::Tampered)?;
        let plain = String::from_utf8(plain).map_err(|_| CipherError::Malformed)?;
        Ok(SecretString::from(plain))
    }

    /// A keyed fingerprint of `data`: equal data give equal ones for the life of the `mac_secret`, and nobody
    /// without it can test a guess. Each `domain` has a key of its own.
    pub fn mac(&self, domain: &'static str, data: &[u8]) -> [u8; 32] {
        let domain_key = hmac_sha256(self.mac_secret.expose_secret(), domain.as_bytes());
        hmac_sha256(&domain_key, data)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&KeyId> = self.keys.iter().map(|(id, _)| id).collect();
        f.debug_struct("Cipher").field("keys", &ids).finish_non_exhaustive()
    }
}

fn aead(key: &SecretBox<[u8; 32]>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose_secret().into())
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("hmac takes keys of every length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHONE: Aad<'_> = Aad { table: "orders", column: "phone", row: "ord_1" };

    fn key(id: &str, byte: u8) -> (KeyId, SecretBox<[u8; 32]>) {
        (id.parse().unwrap(), SecretBox::new(Box::new([byte; 32])))
    }

    fn cipher(keys: Vec<(KeyId, SecretBox<[u8; 32]>)>) -> Cipher {
        Cipher::new(keys, SecretBox::new(Box::new([9; 32]))).unwrap()
    }

    fn seal(cipher: &Cipher, aad: Aad<'_>, plain: &str) -> String {
        cipher.seal(aad, plain, Nonce::generate().unwrap()).unwrap()
    }

    fn open(cipher: &Cipher, aad: Aad<'_>, sealed: &str) -> Result<String, CipherError> {
        cipher.open(aad, sealed).map(|plain| plain.expose_secret().to_owned())
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_and_shows_nothing_before() {
        let cipher = cipher(vec![key("k1", 1)]);
        let sealed = seal(&cipher, PHONE, "+49 30 123456");
        assert!(sealed.starts_with("v1.k1.") && !sealed.contains("123456"));
        assert_eq!(open(&cipher, PHONE, &sealed).as_deref(), Ok("+49 30 123456"));
        assert_ne!(seal(&cipher, PHONE, "+49 30 123456"), sealed, "equal texts must not look equal");
    }

    #[test]
    fn the_stored_form_stays_readable_by_later_versions() {
        let sealed = cipher(vec![key("k1", 1)]).seal(PHONE, "hello", Nonce::from_bytes([7; 24])).unwrap();
        assert_eq!(sealed, "v1.k1.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH9UnkhNIWArk20CSBjNSUb_69cZCh");
    }

    #[test]
    fn a_value_moved_to_another_row_column_or_table_stays_shut() {
        let cipher = cipher(vec![key("k1", 1)]);
        let sealed = seal(&cipher, PHONE, "secret");
        for aad in [
            Aad { row: "ord_2", ..PHONE },
            Aad { column: "address", ..PHONE },
            Aad { table: "customers", ..PHONE },
            // The same letters with the borders moved.
            Aad { table: "order", column: "sphone", ..PHONE },
            Aad { column: "phoneord", row: "_1", ..PHONE },
        ] {
            assert_eq!(open(&cipher, aad, &sealed), Err(CipherError::Tampered), "{aad:?}");
        }
    }

    #[test]
    fn after_a_rotation_old_values_open_and_new_ones_use_the_new_key() {
        let sealed = seal(&cipher(vec![key("old", 1)]), PHONE, "secret");
        let rotated = cipher(vec![key("new", 2), key("old", 1)]);
        assert!(!rotated.is_current(&sealed) && rotated.is_current(&seal(&rotated, PHONE, "secret")));
        assert_eq!(open(&rotated, PHONE, &sealed).as_deref(), Ok("secret"));
        assert!(seal(&rotated, PHONE, "secret").starts_with("v1.new."));
    }

    #[test]
    fn another_key_does_not_open() {
        let sealed = seal(&cipher(vec![key("k1", 1)]), PHONE, "secret");
        let other = cipher(vec![key("k1", 2)]);
        assert_eq!(open(&other, PHONE, &sealed), Err(CipherError::Tampered));
        let without = cipher(vec![key("k2", 1)]);
        assert_eq!(open(&without, PHONE, &sealed), Err(CipherError::UnknownKey("k1".to_owned())));
    }

    #[test]
    fn what_was_never_sealed_is_malformed() {
        let cipher = cipher(vec![key("k1", 1)]);
        for bad in ["", "v1", "v1.k1", "v2.k1.AAAA", "v1.k1.", "v1.k1.AAAA", "v1.k1.****", "+49 30 123456"] {
            assert_eq!(open(&cipher, PHONE, bad), Err(CipherError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_cipher_needs_a_key_and_distinct_ids() {
        let mac = || SecretBox::new(Box::new([9; 32]));
        assert_eq!(Cipher::new(vec![], mac()).err(), Some(KeysError::Empty));
        let twice = Cipher::new(vec![key("k1", 1), key("k2", 2), key("k1", 3)], mac());
        assert_eq!(twice.err(), Some(KeysError::Duplicate(KeyId("k1".to_owned()))));
        for bad in ["", "K1", "a.b", "ключ", "12345678901234567"] {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_shows_ids_and_no_key() {
        let cipher = Cipher::new(vec![key("k1", 0xAB)], SecretBox::new(Box::new([0xCD; 32]))).unwrap();
        assert_eq!(format!("{cipher:?}"), r#"Cipher { keys: [KeyId("k1")], .. }"#);
    }

    #[test]
    fn a_mac_depends_on_domain_data_and_secret_but_not_on_the_sealing_keys() {
        let one = cipher(vec![key("k1", 1)]);
        let rotated = cipher(vec![key("k2", 2), key("k1", 1)]);
        assert_eq!(one.mac("idempotency", b"body"), rotated.mac("idempotency", b"body"));
        assert_ne!(one.mac("idempotency", b"body"), one.mac("idempotency", b"body2"));
        assert_ne!(one.mac("idempotency", b"body"), one.mac("other", b"body"));
        let elsewhere = Cipher::new(vec![key("k1", 1)], SecretBox::new(Box::new([8; 32]))).unwrap();
        assert_ne!(one.mac("idempotency", b"body"), elsewhere.mac("idempotency", b"body"));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(plain in any::<String>(), row in any::<String>()) {
            let cipher = cipher(vec![key("k1", 1)]);
            let aad = Aad { row: &row, ..PHONE };
            prop_assert_eq!(open(&cipher, aad, &seal(&cipher, aad, &plain)), Ok(plain));
        }

        #[test]
        fn a_change_of_any_byte_keeps_it_shut(at in any::<prop::sample::Index>(), to in 0x20_u8..0x7F) {
            let cipher = cipher(vec![key("k1", 1), key("k2", 2)]);
            let mut sealed = seal(&cipher, PHONE, "+49 30 123456").into_bytes();
            let at = at.index(sealed.len());
            prop_assume!(sealed[at] != to);
            sealed[at] = to;
            prop_assert!(open(&cipher, PHONE, str::from_utf8(&sealed).unwrap()).is_err());
            sealed.truncate(at);
            prop_assert!(open(&cipher, PHONE, str::from_utf8(&sealed).unwrap()).is_err());
        }
    }
}
