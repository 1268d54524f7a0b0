//! Accounts and their login sessions, as they are read.

use std::fmt;

use async_trait::async_trait;

use crate::domain::access::Role;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::command::{Approval, Device};
use crate::storage::error::StoreError;

/// An account as stored.
#[derive(Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// What it is for.
    pub role: Role,
    /// What others call its owner.
    pub name: Option<String>,
    /// Whether it may be used.
    pub approved: Approval,
    /// When it was made.
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
    /// Its id.
    pub id: SessionId,
    /// Where it happened.
    pub device: Option<Device>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, as far as that is stored.
    pub last_active_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
}

/// Reads of accounts and login sessions.
#[async_trait]
pub trait AccountReads: Send + Sync {
    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account with this address, as it is stored.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;
    /// Sign-ins that were ended at or after `since`, so that their access tokens are refused after a
    /// restart; in any order.
    async fn sessions_ended_since(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError>;
    /// A user's sign-ins that have neither ended nor run out by `now`, the last active first, at most `limit`.
    async fn sessions_of(&self, user: UserId, now: Timestamp, limit: u32)
    -> Result<Vec<Session>, StoreError>;
    /// Whose sign-in it is, also of one that has ended.
    async fn session_owner(&self, id: SessionId) -> Result<Option<UserId>, StoreError>;
    /// Whether the user signed in on a device of this id before, as far as sign-ins are kept: also ones that have ended.
    async fn knows_device(&self, user: UserId, device: &str) -> Result<bool, StoreError>;
}
