//! Who may see, hear, move and manage what. Pure: where the answer depends on a membership, it says so, and the caller looks
//! it up.

use super::access::{Principal, Role};
use super::ids::{BusinessId, UserId};
use super::order::{Party, Status};

/// What decides whether somebody may deal with a business, with its room among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusinessAccess {
    /// Granted as to an owner, at every business that exists.
    AsOwner,
    /// Granted to members, as far as their membership goes.
    ToMembers,
    /// Refused, with no reason told.
    Denied,
}

/// Operators act as owners everywhere; only merchants can be members.
pub const fn business_access(role: Role) -> BusinessAccess {
    match role {
        Role::Admin => BusinessAccess::AsOwner,
        Role::Merchant => BusinessAccess::ToMembers,
        Role::Customer | Role::Driver => BusinessAccess::Denied,
    }
}

/// Whether a device of such a user, in the room of a business, is one of the business: its orders have arrived there when it
/// acknowledges them. An operator who watches the room is not the business.
pub const fn is_of_business(role: Role) -> bool {
    matches!(business_access(role), BusinessAccess::ToMembers)
}

/// Whether somebody may be in the operators' room.
pub fn may_hear_ops(who: Principal) -> bool {
    who.role == Role::Admin
}

/// What decides whether somebody may deal with an order: see it, hear its room, move it as its table allows their party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderAccess {
    /// Granted, as this party.
    Granted(Party),
    /// Granted, as [`Party::Member`], to members of this business.
    ToMembersOf(BusinessId),
    /// Refused, in the same way as for an order that does not exist.
    Denied,
}

/// A customer has the orders they placed as a customer; a member who ordered for a table loses the order with the membership.
/// Drivers have none: deliveries are not assigned to anybody yet.
pub fn order_access(who: Principal, customer: UserId, business: BusinessId) -> OrderAccess {
    match who.role {
        Role::Admin => OrderAccess::Granted(Party::Admin),
        Role::Customer if customer == who.user => OrderAccess::Granted(Party::Customer),
        Role::Merchant => OrderAccess::ToMembersOf(business),
        Role::Customer | Role::Driver => OrderAccess::Denied,
    }
}

/// The orders in somebody's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedOrders {
    /// Those they placed as a customer.
    Placed,
    /// Those of the businesses they are a member of.
    OfTheirBusinesses,
    /// All of them.
    All,
}

/// The orders somebody lists, and the party as which they see them. A driver's list is a customer's, and empty.
pub const fn listed_orders(role: Role) -> (ListedOrders, Party) {
    match role {
        Role::Admin => (ListedOrders::All, Party::Admin),
        Role::Merchant => (ListedOrders::OfTheirBusinesses, Party::Member),
        Role::Customer | Role::Driver => (ListedOrders::Placed, Party::Customer),
    }
}

/// Whether `party` sees the phone and address of an order: its customer always, others until it ends.
pub fn sees_contact(party: Party, status: Status) -> bool {
    party == Party::Customer || !status.is_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::LoginSessionId;

    fn who(role: Role) -> Principal {
        Principal { user: UserId::generate(), session: LoginSessionId::generate(), role }
    }

    #[test]
    fn an_order_is_its_customers_its_business_members_and_the_operators() {
        let (customer, business) = (who(Role::Customer), BusinessId::generate());
        let access = |who| order_access(who, customer.user, business);
        assert_eq!(access(customer), OrderAccess::Granted(Party::Customer));
        assert_eq!(access(who(Role::Customer)), OrderAccess::Denied);
        assert_eq!(access(who(Role::Driver)), OrderAccess::Denied);
        assert_eq!(access(who(Role::Admin)), OrderAccess::Granted(Party::Admin));
        assert_eq!(access(who(Role::Merchant)), OrderAccess::ToMembersOf(business));
        let waiter = Principal { role: Role::Merchant, ..customer };
        assert_eq!(access(waiter), OrderAccess::ToMembersOf(business), "whoever placed it");
    }

    #[test]
    fn only_customers_see_phone_and_address_after_the_end() {
        for status in Status::ALL {
            assert!(sees_contact(Party::Customer, status));
            assert_eq!(sees_contact(Party::Member, status), !status.is_end(), "{status:?}");
            assert_eq!(sees_contact(Party::Admin, status), !status.is_end(), "{status:?}");
        }
    }
}
