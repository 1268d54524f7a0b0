//! Access tokens and tickets: signed claims, checked without asking the store.
//!
//! Both are signed by the same key, and told apart by audience and by header type, so that neither passes for the
//! other. Whether the login session has ended, and whether a ticket was used, is not known here.

mod signing;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::access::Principal;
use crate::domain::time::Timestamp;

use signing::{Holder, Kind, Signer};

pub use signing::{Signed, TokenError, TokenKey, WeakSecret};

/// Lifetime of a ticket, which opens one socket or stream.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);

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

/// The claims of a checked access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// The holder.
    pub principal: Principal,
    /// The id of the device they signed in on, if it gave one; opening a socket asks the store for nothing.
    pub device: Option<Arc<str>>,
    /// The login session's refresh token that it came with, by generation; tokens of earlier versions do not say.
    pub generation: Option<u32>,
    /// The token's own id (`jti`).
    pub token_id: Uuid,
    /// Time of signing, to the second.
    pub issued_at: Timestamp,
    /// End of validity, to the second; never later than that of a token issued at the same time by the present settings.
    pub expires_at: Timestamp,
}

/// The claims of a checked ticket. It may be used once: the caller has to remember `ticket_id` until `expires_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketClaims {
    /// The holder.
    pub principal: Principal,
    /// As in the access token it was taken with.
    pub device: Option<Arc<str>>,
    /// Its own id (`jti`), which must not come twice.
    pub ticket_id: Uuid,
    /// End of the ticket's validity.
    pub expires_at: Timestamp,
    /// Expiry of the access token it was taken with: the end of the socket it opens, unless refreshed.
    pub access_expires_at: Timestamp,
}

/// Signs and checks access tokens and tickets. Shows no key when printed.
#[derive(Debug)]
pub struct Tokens {
    signer: Signer,
    access: Kind,
    ticket: Kind,
    access_ttl: Duration,
}

impl Tokens {
    /// One per node; every node has to be given the same key and settings.
    pub fn new(key: TokenKey, settings: TokenSettings) -> Self {
        let access_ttl = Duration::from_secs(settings.access_ttl_s.into());
        Self {
            signer: Signer::new(key, settings.issuer),
            ticket: Kind {
                typ: "ticket+jwt",
                audience: format!("{}:ticket", settings.audience),
                longest: TICKET_LIFETIME,
            },
            access: Kind { typ: "at+jwt", audience: settings.audience, longest: access_ttl },
            access_ttl,
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
        self.signer.sign(&self.access, holder, token_id, now, now.plus(self.access_ttl), None)
    }

    /// Signs a ticket for whoever showed `access`: 30 s, but never longer than the access token itself.
    pub fn issue_ticket(&self, access: &AccessClaims, ticket_id: Uuid, now: Timestamp) -> Signed {
        let expires_at = access.expires_at.min(now.plus(TICKET_LIFETIME));
        let holder = Holder { principal: access.principal, device: access.device.clone(), generation: None };
        self.signer.sign(&self.ticket, holder, ticket_id, now, expires_at, Some(access.expires_at))
    }

    /// Checks an access token. Whether its session was ended is not known here.
    ///
    /// # Errors
    /// The first of form, algorithm, type, signature, issuer, audience and time that is not right.
    pub fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        let claims = self.signer.verify(&self.access, token, now)?;
        if claims.exp <= now.unix_seconds() {
            return Err(TokenError::Expired);
        }
        let issued_at = Timestamp::from_unix_seconds(claims.iat);
        // Revocations are kept for the lifetime of a token by the present settings: an older token must not outlive that.
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
        let claims = self.signer.verify(&self.ticket, token, now)?;
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
}

#[cfg(test)]
mod tests;
