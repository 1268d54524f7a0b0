//! Who is asking.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{SessionId, UserId};

/// What an account is for. `Admin` is only ever made from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders.
    Customer,
    /// Works for businesses it is a member of.
    Merchant,
    /// Takes deliveries.
    Driver,
    /// Operates the hub.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Merchant, Self::Driver, Self::Admin];

    /// The lower-case word clients and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Merchant => "merchant",
            Self::Driver => "driver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or(UnknownRole)
    }
}

/// A word that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected customer, merchant, driver or admin")]
pub struct UnknownRole;

/// Somebody whose token was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The account.
    pub user: UserId,
    /// The sign-in the token belongs to.
    pub session: SessionId,
    /// What the account is for.
    pub role: Role,
}

/// What a member of a business may do beyond serving orders: owners also manage members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// May also change members and settings.
    Owner,
    /// Serves orders and edits the menu.
    Staff,
}

impl MemberRole {
    /// The lower-case word clients and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Staff => "staff",
        }
    }
}

impl FromStr for MemberRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Owner, Self::Staff].into_iter().find(|r| r.as_str() == text).ok_or(UnknownRole)
    }
}
