//! Accounts and their login sessions, as they are read.

use std::fmt;

use async_trait::async_trait;

use crate::domain::access::Role;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::commands::{Approval, Device};
use crate::storage::error::StoreError;

/// An account as stored.
#[derive(Clone)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// In lower case, as it is compared.
    pub email: String,
    /// A PHC string: algorithm, parameters, salt and hash.
    pub password_hash: String,
    /// Kind of account: it decides which routes it may use.
    pub role: Role,
    /// Name shown to others.
    pub name: Option<String>,
    /// Whether an operator has approved it.
    pub approved: Approval,
    /// Since when operators keep its owner out; `None`: they do not.
    pub suspended_at: Option<Timestamp>,
    /// Time of registration.
    pub created_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A login session that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSession {
    /// The id that its access tokens carry.
    pub id: LoginSessionId,
    /// Device of the login, if the client named one.
    pub device: Option<Device>,
    /// Time of the login.
    pub created_at: Timestamp,
    /// Last use that has been stored; late by the interval in which uses are stored.
    pub last_active_at: Timestamp,
    /// End, unless it is refreshed before.
    pub expires_at: Timestamp,
}

/// Reads of accounts and login sessions.
#[async_trait]
pub trait AccountReads: Send + Sync {
    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account with this address, as it is stored.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;
    /// The phone number of an account, if it has one.
    async fn user_phone(&self, id: UserId) -> Result<Option<String>, StoreError>;
    /// Sessions that were ended at or after `since`, so that their access tokens are refused after a restart; in any order.
    async fn sessions_ended_since(&self, since: Timestamp) -> Result<Vec<LoginSessionId>, StoreError>;
    /// Sessions of a user that have neither ended nor run out by `now`, the last active first, at most `limit`.
    async fn sessions_of(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LoginSession>, StoreError>;
    /// User of a session, also of one that has ended.
    async fn session_owner(&self, id: LoginSessionId) -> Result<Option<UserId>, StoreError>;
    /// Whether the user logged in on a device of this id before, as far as sessions are stored: also ended ones.
    async fn knows_device(&self, user: UserId, device: &str) -> Result<bool, StoreError>;
}
