//! The signature and the claims of a token: what is the same for access tokens and tickets.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::access::{Principal, Role};
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;

/// Clocks of nodes may differ by this much. Expiry has no leeway.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Our tokens are about 400 bytes. Anything over this is refused before it is decoded.
pub(super) const MAX_TOKEN_BYTES: usize = 4096;

/// An HMAC key has to be as long as its output, or guessing it is the easier attack (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// A signing secret that is too short: 32 bytes at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token secret is {0} bytes long, at least 32 are needed")]
pub struct WeakSecret(pub usize);

/// One algorithm with the key for each of its sides. Tokens of any other algorithm are refused unread.
#[derive(Debug)]
pub struct TokenKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl TokenKey {
    /// HMAC-SHA256 with a secret that every node shares.
    ///
    /// # Errors
    /// The secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, WeakSecret> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(WeakSecret(secret.len()));
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        })
    }
}

/// The reason a token is refused. All but `Expired` mean that it was never a valid token of this hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, over 4096 bytes, or a claim is missing or of the wrong kind.
    #[error("the token is malformed")]
    Malformed,
    /// Another algorithm than the key's, `none` included.
    #[error("the token is signed by an algorithm that is not accepted")]
    WrongAlgorithm,
    /// The header names another type of token.
    #[error("the token is of another type")]
    WrongType,
    /// Changed since it was signed, or signed by another key.
    #[error("the token's signature does not match")]
    BadSignature,
    /// Signed for another issuer.
    #[error("the token has another issuer")]
    WrongIssuer,
    /// Meant for another audience.
    #[error("the token is meant for another audience")]
    WrongAudience,
    /// Valid only more than 5 s in the future, or issued farther in the future than it lives.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Was valid once.
    #[error("the token has expired")]
    Expired,
}

/// A signed token.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The token itself, a secret: it alone identifies its holder.
    pub text: String,
    /// From this moment it is refused.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// One of the two kinds of token, told apart by header type and audience.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) typ: &'static str,
    pub(super) audience: String,
    /// The longest lifetime.
    pub(super) longest: Duration,
}

/// The identity a token gives to its holder.
pub(super) struct Holder {
    pub(super) principal: Principal,
    pub(super) device: Option<Arc<str>>,
    pub(super) generation: Option<u32>,
}

/// The claims as they are written. Every field but the optional ones has to be there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) exp: i64,
    pub(super) iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
    pub(super) jti: Uuid,
    pub(super) sub: UserId,
    pub(super) sid: LoginSessionId,
    pub(super) role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dev: Option<Arc<str>>,
    /// Access tokens only: which of the login session's refresh tokens it came with.
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<u32>,
    /// Tickets only: `exp` of the access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) access_exp: Option<i64>,
}

/// The part of a header that is read before the signature is checked.
#[derive(Deserialize)]
struct UntrustedHeader {
    alg: String,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// Signs claims, and checks everything about a token but whether it has expired.
#[derive(Debug)]
pub(super) struct Signer {
    key: TokenKey,
    issuer: String,
    validation: Validation,
}

impl Signer {
    pub(super) fn new(key: TokenKey, issuer: String) -> Self {
        let mut validation = Validation::new(key.algorithm);
        // The library checks the signature. The claims are checked in `verify`, where the time is passed in
        // and a missing one is an error.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { key, issuer, validation }
    }

    pub(super) fn sign(
        &self,
        kind: &Kind,
        Holder { principal, device, generation }: Holder,
        id: Uuid,
        now: Timestamp,
        expires_at: Timestamp,
        access_expires_at: Option<Timestamp>,
    ) -> Signed {
        let exp = expires_at.unix_seconds();
        let claims = WireClaims {
            iss: self.issuer.clone(),
            aud: kind.audience.clone(),
            exp,
            iat: now.unix_seconds(),
            nbf: None,
            jti: id,
            sub: principal.user,
            sid: principal.session,
            role: principal.role,
            dev: device,
            generation,
            access_exp: access_expires_at.map(Timestamp::unix_seconds),
        };
        let mut header = Header::new(self.key.algorithm);
        header.typ = Some(kind.typ.to_owned());
        let text = jsonwebtoken::encode(&header, &claims, &self.key.encoding)
            .expect("a key of the header's algorithm signs any claims");
        Signed { text, expires_at: Timestamp::from_unix_seconds(exp) }
    }

    /// The claims of a token of this kind; its expiry is the caller's to check.
    pub(super) fn verify(&self, kind: &Kind, token: &str, now: Timestamp) -> Result<WireClaims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let (header, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
        let header: UntrustedHeader = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        if header.alg.parse() != Ok(self.key.algorithm) {
            return Err(TokenError::WrongAlgorithm);
        }
        let claims = jsonwebtoken::decode::<WireClaims>(token, &self.key.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenError::BadSignature,
                ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
                _ => TokenError::Malformed,
            })?
            .claims;
        if claims.iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != kind.audience {
            return Err(TokenError::WrongAudience);
        }
        if header.typ.as_deref() != Some(kind.typ) {
            return Err(TokenError::WrongType);
        }
        // A clock that was set back must not invalidate every fresh token: `iat` may lie as far ahead as the token lives, so
        // that a token is accepted for twice its lifetime at most. One from farther ahead has to be replaced by its client.
        let life = Duration::from_secs(claims.exp.saturating_sub(claims.iat).try_into().unwrap_or(0));
        let ahead = life.min(kind.longest).max(CLOCK_SKEW);
        let not_before = claims.nbf.unwrap_or(i64::MIN);
        if claims.iat > now.plus(ahead).unix_seconds() || not_before > now.plus(CLOCK_SKEW).unix_seconds() {
            return Err(TokenError::NotYetValid);
        }
        Ok(claims)
    }
}

impl WireClaims {
    pub(super) fn principal(&self) -> Principal {
        Principal { user: self.sub, session: self.sid, role: self.role }
    }
}
