//! Businesses that a batch locks before any order.

use std::collections::BTreeSet;

use crate::domain::ids::BusinessId;
use crate::domain::order::Status;
use crate::storage::commands::{Change, Write};

/// Names the business that a write changes, counts or answers for.
pub(super) fn name_business(write: &Write, businesses: &mut BTreeSet<BusinessId>) {
    match write.unkeyed() {
        Write::MoveOrder(wish)
            if matches!(wish.request.to, Status::Placed | Status::Accepted | Status::Rejected) =>
        {
            businesses.insert(wish.business);
        }
        Write::PutMember(put) => _ = businesses.insert(put.business),
        Write::RemoveMember(remove) => _ = businesses.insert(remove.business),
        Write::Invite(invite) => _ = businesses.insert(invite.business),
        write => write.each_change(&mut |change| {
            if let Change::Business(business) | Change::Menu(business) = change {
                businesses.insert(business);
            }
        }),
    }
}
