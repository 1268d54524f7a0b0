//! Asking somebody to work for a business, and their answer.

use serde::{Deserialize, Serialize};

use crate::domain::access::MemberRole;
use crate::domain::ids::{BusinessId, InvitationId, UserId};
use crate::domain::time::Timestamp;

/// The account that is invited, looked up when the command runs. An address or id without a merchant's account is no error, so
/// that the answer does not tell which accounts there are.
#[derive(Clone, PartialEq, Eq)]
pub enum Invitee {
    /// The account with this address, lower case.
    Email(String),
    /// The account with this id.
    User(UserId),
}

impl std::fmt::Debug for Invitee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Email(_) => f.write_str("Email(..)"),
            Self::User(user) => f.debug_tuple("User").field(user).finish(),
        }
    }
}

/// An invitation to be stored; it takes the place of an earlier one of the same business and person.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// Its id, if it is stored.
    pub id: InvitationId,
    /// To work for this business.
    pub business: BusinessId,
    /// The person invited.
    pub invitee: Invitee,
    /// In this role.
    pub role: MemberRole,
    /// The owner who invites.
    pub invited_by: UserId,
    /// The moment from which it cannot be answered any more.
    pub expires_at: Timestamp,
}

/// The answer of an invited person.
#[derive(Clone, Copy, Debug)]
pub struct AnswerInvitation {
    /// The invitation.
    pub invitation: InvitationId,
    /// The person it has to be for.
    pub user: UserId,
    /// Yes or no.
    pub answer: InvitationAnswer,
}

/// The word of an invited person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationAnswer {
    /// The person works for the business from now on.
    Accept,
    /// The person does not want to.
    Decline,
}

/// Outcome of an answer to an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvitationOutcome {
    /// The person works for the business, now or since an earlier answer.
    Joined {
        /// The business.
        business: BusinessId,
        /// The role of the invitation.
        role: MemberRole,
    },
    /// The person does not want to.
    Declined,
    /// No invitation of theirs has this id, or it ran out, or it was accepted and is declined too late.
    NotThere,
    /// The business has as many members as it may.
    Full,
}
