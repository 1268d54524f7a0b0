//! Accounts, login sessions and tickets.

use serde::{Deserialize, Serialize};

use crate::domain::access::Role;
use crate::domain::ids::{LoginSessionId, UserId};
use crate::domain::time::Timestamp;

/// An account to be made.
#[derive(Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Lower case; unique.
    pub email: String,
    /// PHC string of the password.
    pub password_hash: String,
    /// Kind of account: it decides which routes it may use.
    pub role: Role,
    /// Name shown to others.
    pub name: Option<String>,
    /// False for drivers who wait for an operator.
    pub approved: Approval,
    /// Time of registration.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Another password for an account.
#[derive(Clone)]
pub struct SetPassword {
    /// The account.
    pub user: UserId,
    /// PHC string of the new one.
    pub password_hash: String,
    /// Only while this is the stored one.
    pub instead_of: Option<String>,
}

impl std::fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Another phone number for an account, or none.
#[derive(Clone)]
pub struct SetPhone {
    /// The account.
    pub user: UserId,
    /// A number that can be called.
    pub phone: Option<String>,
}

impl std::fmt::Debug for SetPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetPhone").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whether an account may be used for what its role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The account may be used.
    Approved,
    /// An operator has to say yes first.
    Pending,
}

/// The device of a login session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's own id.
    pub id: String,
    /// Name that its owner gave it.
    pub name: Option<String>,
    /// Like `ios` or `web`.
    pub platform: Option<String>,
}

/// A login session to be stored.
#[derive(Clone)]
pub struct NewSession {
    /// Its id; all its refresh tokens name it.
    pub id: LoginSessionId,
    /// The account.
    pub user: UserId,
    /// The device it is on, if the client named one.
    pub device: Option<Device>,
    /// SHA-256 of refresh token 0, in hexadecimal.
    pub token_hash: String,
    /// Time of the login.
    pub created_at: Timestamp,
    /// End, unless it is refreshed before.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A login session was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionActivity {
    /// The login session.
    pub session: LoginSessionId,
    /// The latest moment it was seen.
    pub at: Timestamp,
    /// Tokens its client was seen to have.
    pub used: Option<TokenUse>,
}

/// The client of a login session has tokens of this generation: it used the access token that came with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The generation of the tokens.
    pub generation: u32,
    /// Time of the first use.
    pub at: Timestamp,
}

/// A refresh token presented for exchange; its signature was checked.
#[derive(Clone)]
pub struct RotateSession {
    /// The login session whose tokens these are.
    pub session: LoginSessionId,
    /// Which of the family's tokens.
    pub generation: u32,
    /// SHA-256 of the token presented, in hexadecimal.
    pub presented_hash: String,
    /// SHA-256 of the token of the next generation, in hexadecimal.
    pub successor_hash: String,
    /// Life of the session from now on.
    pub lifetime: std::time::Duration,
    /// Use of the session's newest tokens that this node has seen and may not have stored yet.
    pub used: Option<TokenUse>,
}

impl std::fmt::Debug for RotateSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotateSession")
            .field("session", &self.session)
            .field("generation", &self.generation)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// For this long after the first use of a successor the token before it still yields the same one, for a client that
/// refreshes in several places at once. As long as the successor was never used its answer may have been lost, and the token
/// before it yields it however late.
pub const ROTATION_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Lets an account be used for what its role is for.
#[derive(Clone, Copy, Debug)]
pub struct ApproveUser {
    /// The account.
    pub user: UserId,
}

/// Closes an account to its owner: nobody signs in, its login sessions end, and a driver is asked no more.
#[derive(Clone, Copy, Debug)]
pub struct SuspendUser {
    /// The account.
    pub user: UserId,
    /// The operator who does it.
    pub by: UserId,
}

/// Opens a suspended account to its owner again.
#[derive(Clone, Copy, Debug)]
pub struct RestoreUser {
    /// The account.
    pub user: UserId,
    /// The operator who does it.
    pub by: UserId,
}

/// Ends every login session of an account.
#[derive(Clone, Copy, Debug)]
pub struct EndSessions {
    /// The account.
    pub user: UserId,
    /// The operator who does it.
    pub by: UserId,
}

/// Most ended login sessions that one outcome names; the store has all of them, and nodes find the others there in seconds.
pub const MAX_ENDED_SESSIONS: usize = 1_000;

/// Ends a login session.
#[derive(Clone, Copy, Debug)]
pub struct EndSession {
    /// The login session.
    pub session: LoginSessionId,
}

/// Uses up a one-time ticket.
#[derive(Clone, Debug)]
pub struct RedeemTicket {
    /// Its unique id.
    pub jti: String,
    /// After this it may be forgotten.
    pub expires_at: Timestamp,
}

/// Whether something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum Creation {
    /// It is there now, and was not before.
    Created,
    /// It was there; nothing changed.
    AlreadyThere,
}

impl From<bool> for Creation {
    fn from(yes: bool) -> Self {
        if yes { Self::Created } else { Self::AlreadyThere }
    }
}

impl From<Creation> for bool {
    fn from(value: Creation) -> Self {
        value == Creation::Created
    }
}

/// Whether an account was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum UserChange {
    /// It is as it was to be.
    Made,
    /// There is no such account, or it is not as it had to be; nothing changed.
    NotThere,
}

impl From<bool> for UserChange {
    fn from(yes: bool) -> Self {
        if yes { Self::Made } else { Self::NotThere }
    }
}

impl From<UserChange> for bool {
    fn from(value: UserChange) -> Self {
        value == UserChange::Made
    }
}

/// The outcome of presenting a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The session goes on: this generation's token is the answer, for this user in this role.
    Continued {
        /// The generation that now holds.
        generation: u32,
        /// The user who signed in.
        user: UserId,
        /// The account's role.
        role: Role,
        /// The id of the device it was opened on.
        device: Option<String>,
        /// End of the session, unless it is refreshed before.
        #[serde(with = "crate::domain::time::micros")]
        expires_at: Timestamp,
    },
    /// A rotated token was used again: the session has been ended.
    Reused {
        /// The user who signed in.
        user: UserId,
    },
    /// Unknown, ended or run out.
    #[serde(rename = "rotation_refused")]
    Refused,
}
