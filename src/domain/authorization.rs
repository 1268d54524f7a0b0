//! Who may see, hear, move and manage what. Pure: where the answer depends on a membership, it says so, and the caller looks
//! it up.

use std::time::Duration;

use super::access::{Principal, Role};
use super::delivery::DeliveryStatus;
use super::ids::{BusinessId, UserId};
use super::order::{Order, Party};
use super::time::Timestamp;

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

/// Whether somebody may be in the room of a driver.
pub fn may_hear_driver(who: Principal, driver: UserId) -> bool {
    who.role == Role::Admin || (who.role == Role::Driver && who.user == driver)
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
/// A driver has the order that they carry, and the one they have brought.
pub fn order_access(who: Principal, order: &Order) -> OrderAccess {
    match who.role {
        Role::Admin => OrderAccess::Granted(Party::Admin),
        Role::Customer if order.customer_id == who.user => OrderAccess::Granted(Party::Customer),
        Role::Merchant => OrderAccess::ToMembersOf(order.business_id),
        Role::Driver if is_drivers(order, who.user) => OrderAccess::Granted(Party::Driver),
        Role::Customer | Role::Driver => OrderAccess::Denied,
    }
}

fn is_drivers(order: &Order, driver: UserId) -> bool {
    let carries = |status: DeliveryStatus| !status.is_searched() && status != DeliveryStatus::Cancelled;
    order.delivery.is_some_and(|delivery| delivery.driver == Some(driver) && carries(delivery.status))
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
    /// Those they carry as a driver.
    Carried,
}

/// The orders somebody lists, and the party as which they see them.
pub const fn listed_orders(role: Role) -> (ListedOrders, Party) {
    match role {
        Role::Admin => (ListedOrders::All, Party::Admin),
        Role::Merchant => (ListedOrders::OfTheirBusinesses, Party::Member),
        Role::Customer => (ListedOrders::Placed, Party::Customer),
        Role::Driver => (ListedOrders::Carried, Party::Driver),
    }
}

/// How long the driver of an order sees its phone and address after its end.
const DRIVER_SEES_CONTACT: Duration = Duration::from_secs(30 * 60);

/// How long members and operators see them.
const MEMBERS_SEE_CONTACT: Duration = Duration::from_secs(24 * 3600);

/// Whether `party` sees the phone and address of an order at `now`: its customer always; the others until it ends, and for a while after
/// that, in which something may have been left behind.
pub fn sees_contact(party: Party, order: &Order, now: Timestamp) -> bool {
    let kept = match party {
        Party::Customer => return true,
        Party::Driver => DRIVER_SEES_CONTACT,
        Party::Member | Party::Admin | Party::System => MEMBERS_SEE_CONTACT,
    };
    // The last move of an order that has ended was its end.
    !order.status.is_end() || now.since(order.updated_at) < kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::LoginSessionId;
    use crate::domain::order::tests::order;
    use crate::domain::order::{Fulfilment, Status};

    fn who(role: Role) -> Principal {
        Principal { user: UserId::generate(), session: LoginSessionId::generate(), role }
    }

    #[test]
    fn an_order_is_its_customers_its_business_members_and_the_operators() {
        let customer = who(Role::Customer);
        let order = Order { customer_id: customer.user, ..order(Fulfilment::Delivery) };
        let business = order.business_id;
        let access = |who| order_access(who, &order);
        assert_eq!(access(customer), OrderAccess::Granted(Party::Customer));
        assert_eq!(access(who(Role::Customer)), OrderAccess::Denied);
        assert_eq!(access(who(Role::Driver)), OrderAccess::Denied);
        assert_eq!(access(who(Role::Admin)), OrderAccess::Granted(Party::Admin));
        assert_eq!(access(who(Role::Merchant)), OrderAccess::ToMembersOf(business));
        let waiter = Principal { role: Role::Merchant, ..customer };
        assert_eq!(access(waiter), OrderAccess::ToMembersOf(business), "whoever placed it");
    }

    #[test]
    fn phone_and_address_go_after_the_end_in_30_minutes_for_drivers_and_in_a_day_for_members() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for status in Status::ALL {
            let order = Order { status, ..order(Fulfilment::Delivery) };
            let sees = |party, after| sees_contact(party, &order, order.updated_at.plus(minutes(after)));
            assert!(sees(Party::Customer, 100_000));
            for (party, kept) in [(Party::Driver, 30), (Party::Member, 24 * 60), (Party::Admin, 24 * 60)] {
                assert!(sees(party, kept - 1), "{status} {party}");
                assert_eq!(sees(party, kept), !status.is_end(), "{status} {party}");
            }
        }
    }
}
