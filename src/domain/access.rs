//! Accounts, their roles, and the principal of a request.

use super::ids::{LoginSessionId, UserId};
use super::string_enum::string_enum;

string_enum! {
    /// The purpose of an account.
    pub enum Role {
        /// Places orders at any business.
        Customer = "customer",
        /// Works for businesses it is a member of.
        Merchant = "merchant",
        /// Takes deliveries, after an operator has approved the account.
        Driver = "driver",
        /// Operates the hub. Such an account is made from the command line only.
        Admin = "admin",
    }
}

/// The account, login session and role that a checked token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The account that signed in.
    pub user: UserId,
    /// The login session of the token; ending it makes the token invalid.
    pub session: LoginSessionId,
    /// The role as of when the token was issued.
    pub role: Role,
}

string_enum! {
    /// The rights of a member in its business.
    pub enum MemberRole {
        /// Has the rights of staff, and changes members and settings. A business keeps at least one owner.
        Owner = "owner",
        /// Handles orders and edits the menu.
        Staff = "staff",
    }
}
