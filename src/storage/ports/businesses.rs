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
    /// Account of the member.
    pub user: UserId,
    /// Address of the account, in lower case.
    pub email: String,
    /// Name shown to others.
    pub name: Option<String>,
    /// Decides which changes the member may make.
    pub role: MemberRole,
    /// What they said about being called; `None` before they said anything.
    pub alert_me: Option<bool>,
}

impl Member {
    /// Whether a call may reach them when the contact of the business does not answer: owners unless they said otherwise.
    pub fn is_called(&self) -> bool {
        self.alert_me.unwrap_or(self.role == MemberRole::Owner)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// An invitation that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Named in the answer to it.
    pub id: InvitationId,
    /// The business that invites.
    pub business: BusinessId,
    /// Its present name.
    pub business_name: String,
    /// Role of the member who accepts it.
    pub role: MemberRole,
    /// Time of the invitation.
    pub created_at: Timestamp,
    /// From this moment on it cannot be answered.
    pub expires_at: Timestamp,
}

/// How soon a business answered orders since a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerTimes {
    /// Seconds within which half of those that were answered had their answer.
    pub p50_s: Option<u32>,
    /// Seconds within which nine of ten had it.
    pub p90_s: Option<u32>,
    /// Orders that were answered.
    pub answered: u64,
    /// Orders that were cancelled because nobody answered.
    pub unanswered: u64,
}

/// Reads of businesses, members, invitations and menus.
#[async_trait]
pub trait BusinessReads: Send + Sync {
    /// A business, its contact in the clear.
    async fn business(&self, id: BusinessId) -> Result<Option<Business>, StoreError>;
    /// Businesses that a user is a member of, oldest first, at most `limit` after `after`.
    async fn businesses_of(
        &self,
        user: UserId,
        after: Option<BusinessId>,
        limit: u32,
    ) -> Result<Vec<Business>, StoreError>;
    /// All businesses, oldest first, at most `limit` after `after`.
    async fn businesses(&self, after: Option<BusinessId>, limit: u32) -> Result<Vec<Business>, StoreError>;
    /// Those of these businesses that exist, in any order.
    async fn businesses_named(&self, ids: &[BusinessId]) -> Result<Vec<Business>, StoreError>;
    /// How soon these businesses answered the orders placed since a moment; those without orders are left out.
    async fn answer_times(
        &self,
        businesses: &[BusinessId],
        since: Timestamp,
    ) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError>;
    /// The businesses that took longest to answer orders placed since a moment, the slowest by p90 first; among the newest 50,000
    /// orders.
    async fn slowest_to_answer(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError>;
    /// Role of a user at a business; `None` for no member and for no business.
    async fn membership(&self, business: BusinessId, user: UserId) -> Result<Option<MemberRole>, StoreError>;
    /// Members of a business, owners first.
    async fn members(&self, business: BusinessId) -> Result<Vec<Member>, StoreError>;
    /// A user's invitations that wait for an answer at `now`, newest first; there are at most
    /// [`crate::domain::business::MAX_INVITATIONS_OF_USER`].
    async fn invitations_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;
    /// The menu, by category and name.
    async fn menu(&self, business: BusinessId) -> Result<Vec<MenuItem>, StoreError>;
}
