//! Access tokens and tickets: signed claims, checked without asking the store.
//!
//! Both are signed by the same key, and told apart by audience and by header type, so that neither passes for the
//! other. Whether the session still lives is the store's to say, and so is whether a ticket was used.

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
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;

/// How long a ticket opens a socket or a stream (requirement 1.6).
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// Clocks of nodes may differ by this much. Expiry has no leeway.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Ours are about 400 bytes. Anything over this is refused before it is decoded.
const MAX_TOKEN_BYTES: usize = 4096;

/// An HMAC key has to be as long as its output, or guessing it is the easier attack (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Names in the tokens, and how long an access token lasts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// `iss`: who signs.
    pub issuer: String,
    /// `aud` of access tokens; tickets have `<audience>:ticket`.
    pub audience: String,
    /// Seconds an access token lasts.
    pub access_ttl_s: u32,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { issuer: "bellhop".to_owned(), audience: "bellhop".to_owned(), access_ttl_s: 3600 }
    }
}

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

/// Why a token proves nothing. All but `Expired` mean that it was not ours to begin with.
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

/// A signed text and when it stops being valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The token itself; whoever holds it is believed.
    pub text: String,
    /// From this moment it is refused.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What a checked access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who asks.
    pub principal: Principal,
    /// The id of the device they signed in on, if it gave one; opening a socket asks the store for nothing.
    pub device: Option<Arc<str>>,
    /// Which of the sign-in's refresh tokens it came with; tokens of earlier versions do not say.
    pub generation: Option<u32>,
    /// The token's own id (`jti`).
    pub token_id: Uuid,
    /// When it was signed, to the second.
    pub issued_at: Timestamp,
    /// When it stops being valid, to the second: never later than the present settings let a new one live.
    pub expires_at: Timestamp,
}

/// What a checked ticket says. It is good for one use: the caller has to remember `ticket_id` until `expires_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketClaims {
    /// Who asks.
    pub principal: Principal,
    /// As in the access token it was taken with.
    pub device: Option<Arc<str>>,
    /// What must not come twice (`jti`).
    pub ticket_id: Uuid,
    /// When the ticket stops being valid.
    pub expires_at: Timestamp,
    /// When the access token it was taken with expires: the end of the socket it opens, unless refreshed.
    pub access_expires_at: Timestamp,
}

/// Signs and checks access tokens and tickets. Shows no key when printed.
#[derive(Debug)]
pub struct Tokens {
    key: TokenKey,
    issuer: String,
    access: Kind,
    ticket: Kind,
    access_ttl: Duration,
    validation: Validation,
}

#[derive(Debug)]
struct Kind {
    typ: &'static str,
    audience: String,
    /// How long one lives at most.
    longest: Duration,
}

/// Whoever holds a token is taken for them.
struct Holder {
    principal: Principal,
    device: Option<Arc<str>>,
    generation: Option<u32>,
}

/// The claims as they are written. Every field but the optional ones has to be there.
#[derive(Debug, Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: Uuid,
    sub: UserId,
    sid: SessionId,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dev: Option<Arc<str>>,
    /// Access tokens only: which of the sign-in's refresh tokens it came with.
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    /// Tickets only: `exp` of the access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_exp: Option<i64>,
}

/// What is read of a header before anything in the token is believed.
#[derive(Deserialize)]
struct UntrustedHeader {
    alg: String,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl Tokens {
    /// One per node; every node has to be given the same key and settings.
    pub fn new(key: TokenKey, settings: TokenSettings) -> Self {
        let access_ttl = Duration::from_secs(settings.access_ttl_s.into());
        let mut validation = Validation::new(key.algorithm);
        // The library checks the signature. The claims are checked in `verify`, where the time is passed in
        // and a missing one is an error.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            key,
            issuer: settings.issuer,
            ticket: Kind {
                typ: "ticket+jwt",
                audience: format!("{}:ticket", settings.audience),
                longest: TICKET_LIFETIME,
            },
            access: Kind { typ: "at+jwt", audience: settings.audience, longest: access_ttl },
            access_ttl,
            validation,
        }
    }

    /// Signs an access token that lasts as long as the settings say, to be given out with the refresh token of `generation`.
    /// `token_id` has to be new.
    pub fn issue_access(
        &self,
        principal: Principal,
        device: Option<&str>,
        generation: u32,
        token_id: Uuid,
        now: Timestamp,
    ) -> Signed {
        let holder = Holder { principal, device: device.map(Arc::from), generation: Some(generation) };
        self.sign(&self.access, holder, token_id, now, now.plus(self.access_ttl), None)
    }

    /// Signs a ticket for whoever showed `access`: 30 s, but never longer than the access token itself.
    pub fn issue_ticket(&self, access: &AccessClaims, ticket_id: Uuid, now: Timestamp) -> Signed {
        let expires_at = access.expires_at.min(now.plus(TICKET_LIFETIME));
        let holder = Holder { principal: access.principal, device: access.device.clone(), generation: None };
        self.sign(&self.ticket, holder, ticket_id, now, expires_at, Some(access.expires_at))
    }

    /// Checks an access token. Whether its session was ended is not known here.
    ///
    /// # Errors
    /// The first of form, algorithm, type, signature, issuer, audience and time that is not right.
    pub fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        let claims = self.verify(&self.access, token, now)?;
        if claims.exp <= now.unix_seconds() {
            return Err(TokenError::Expired);
        }
        let issued_at = Timestamp::from_unix_seconds(claims.iat);
        // Ended sign-ins are remembered for as long as a token lives now: one that was given longer must not outlive that.
        let expires_at = Timestamp::from_unix_seconds(claims.exp).min(issued_at.plus(self.access_ttl));
        if expires_at.unix_seconds() <= now.unix_seconds() {
            return Err(TokenError::Expired);
        }
        Ok(AccessClaims {
            principal: claims.principal(),
            device: claims.dev,
            generation: claims.generation,
            token_id: claims.jti,
            issued_at,
            expires_at,
        })
    }

    /// Checks a ticket. Whether it was used before is not known here.
    ///
    /// # Errors
    /// As [`Tokens::verify_access`].
    pub fn verify_ticket(&self, token: &str, now: Timestamp) -> Result<TicketClaims, TokenError> {
        let claims = self.verify_old_ticket(token, now)?;
        if claims.expires_at.unix_seconds() <= now.unix_seconds() {
            Err(TokenError::Expired)
        } else {
            Ok(claims)
        }
    }

    /// Checks a ticket that opened something before, whose time may be over: until the access token it was taken with
    /// expires. That it did open something has to be proven otherwise.
    ///
    /// # Errors
    /// As [`Tokens::verify_access`].
    pub fn verify_old_ticket(&self, token: &str, now: Timestamp) -> Result<TicketClaims, TokenError> {
        let claims = self.verify(&self.ticket, token, now)?;
        let issued_at = Timestamp::from_unix_seconds(claims.iat);
        let access_expires_at = Timestamp::from_unix_seconds(claims.access_exp.ok_or(TokenError::Malformed)?);
        // As with access tokens: no longer than a new one lives.
        let access_expires_at = access_expires_at.min(issued_at.plus(self.access_ttl));
        if access_expires_at.unix_seconds() <= now.unix_seconds() {
            return Err(TokenError::Expired);
        }
        Ok(TicketClaims {
            principal: claims.principal(),
            device: claims.dev,
            ticket_id: claims.jti,
            expires_at: Timestamp::from_unix_seconds(claims.exp),
            access_expires_at,
        })
    }

    fn sign(
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

    /// Everything but whether its time is over.
    fn verify(&self, kind: &Kind, token: &str, now: Timestamp) -> Result<WireClaims, TokenError> {
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
        // A clock that was set back must not make every fresh token worthless: one of ours may come from as far ahead as
        // it lives, and so is believed for twice its life at most. Who has one from farther ahead takes a new one.
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
    fn principal(&self) -> Principal {
        Principal { user: self.sub, session: self.sid, role: self.role }
    }
}

#[cfg(test)]
mod tests;
