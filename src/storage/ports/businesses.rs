//! Businesses with their members and menus, as they are read.

use std::fmt;

use async_trait::async_trait;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::{BusinessId, InvitationId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// A member of a business.
#[derive(Clone)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What others call them.
    pub name: Option<String>,
    /// What they may do.
    pub role: MemberRole,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// An invitation that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// To work for this business.
    pub business: BusinessId,
    /// What the business is called.
    pub business_name: String,
    /// In this role.
    pub role: MemberRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// The moment from which it cannot be answered any more.
    pub expires_at: Timestamp,
}

/// Reads of businesses, members, invitations and menus.
#[async_trait]
pub trait BusinessReads: Send + Sync {
    /// A business.
    async fn business(&self, id: BusinessId) -> Result<Option<Business>, StoreError>;
    /// The businesses somebody is a member of, oldest first, at most `limit` after `after`.
    async fn businesses_of(
        &self,
        user: UserId,
        after: Option<BusinessId>,
        limit: u32,
    ) -> Result<Vec<Business>, StoreError>;
    /// All businesses, oldest first, at most `limit` after `after`.
    async fn businesses(&self, after: Option<BusinessId>, limit: u32) -> Result<Vec<Business>, StoreError>;
    /// What somebody may do at a business; `None` when they are no member or there is no such business.
    async fn membership(&self, business: BusinessId, user: UserId) -> Result<Option<MemberRole>, StoreError>;
    /// Everybody who works for a business, owners first.
    async fn members(&self, business: BusinessId) -> Result<Vec<Member>, StoreError>;
    /// A user's invitations that wait for an answer at `now`, newest first; there are at most
    /// [`crate::domain::business::MAX_INVITATIONS_OF_USER`].
    async fn invitations_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;
    /// The menu, by category and name.
    async fn menu(&self, business: BusinessId) -> Result<Vec<MenuItem>, StoreError>;
}
