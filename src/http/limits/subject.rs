//! Subjects that have quotas.

use std::fmt;

use crate::domain::access::Principal;
use crate::domain::address::AddressBlock;
use crate::domain::ids::{LoginSessionId, UserId};

use super::class::RateClass;

/// The owner of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaSubject {
    /// A user, over all their login sessions.
    User(UserId),
    /// One login session of a user.
    LoginSession {
        /// The user.
        user: UserId,
        /// The login session.
        session: LoginSessionId,
    },
    /// The refresh tokens of one login session.
    Family(LoginSessionId),
    /// An address that is not signed in.
    Address(AddressBlock),
    /// Everybody together.
    Hub,
}

/// The key of an entry in a table of quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) enum QuotaKey {
    User(UserId),
    LoginSession(LoginSessionId),
    Addresses(AddressBlock),
    Hub,
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::LoginSession(session) => session.fmt(f),
            Self::Addresses(block) => block.fmt(f),
            Self::Hub => f.write_str("hub"),
        }
    }
}

impl From<Principal> for QuotaSubject {
    fn from(Principal { user, session, .. }: Principal) -> Self {
        Self::LoginSession { user, session }
    }
}

impl QuotaSubject {
    /// The person or address behind it, as far as that is known.
    pub(in crate::http) fn owner(self) -> QuotaKey {
        match self {
            Self::User(user) | Self::LoginSession { user, .. } => QuotaKey::User(user),
            Self::Family(session) => QuotaKey::LoginSession(session),
            Self::Address(block) => QuotaKey::Addresses(block),
            Self::Hub => QuotaKey::Hub,
        }
    }

    /// The keys of the subject's own quota and of the wider one around it.
    pub(super) fn keys(self, class: RateClass) -> (QuotaKey, Option<QuotaKey>) {
        match self {
            Self::User(user) => (QuotaKey::User(user), None),
            Self::LoginSession { user, session } => {
                (QuotaKey::LoginSession(session), Some(QuotaKey::User(user)))
            }
            Self::Family(session) => (QuotaKey::LoginSession(session), None),
            Self::Hub => (QuotaKey::Hub, None),
            // Of IPv4 only logins are worth a quota by network: a /24 is many homes.
            Self::Address(block) => {
                let network = block.is_ipv6() || class == RateClass::Auth;
                (QuotaKey::Addresses(block), network.then(|| QuotaKey::Addresses(block.network())))
            }
        }
    }
}
