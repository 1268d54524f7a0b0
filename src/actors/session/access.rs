//! Who may be in a room.

use crate::domain::access::{Principal, Role};
use crate::domain::room::RoomId;
use crate::storage::StoreError;
use crate::storage::cache::CachedReads;

/// Whether a client may be in a room. An absent room is like a foreign one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomAccess {
    /// It may.
    Granted,
    /// It may not, or there is no such room.
    NoSuchRoom,
}

/// A business's room is for its members and admins; an order's for the customer who placed it, the members of its business
/// and admins: a member who ordered for a table keeps nothing of it once they have left. From memory where it is known there, so that devices that come back all at once do not queue for the store.
pub async fn room_access(
    reads: &CachedReads,
    who: Principal,
    room: RoomId,
) -> Result<RoomAccess, StoreError> {
    let granted = match room {
        RoomId::Business(business) if who.role == Role::Admin => reads.business(business).await?.is_some(),
        RoomId::Business(business) => reads.membership(business, who.user).await?.is_some(),
        RoomId::Order(order) => match reads.order(order).await? {
            None => false,
            Some(order) => match who.role {
                Role::Admin => true,
                Role::Customer => order.value.customer_id == who.user,
                Role::Merchant | Role::Driver => {
                    reads.membership(order.value.business_id, who.user).await?.is_some()
                }
            },
        },
    };
    Ok(if granted { RoomAccess::Granted } else { RoomAccess::NoSuchRoom })
}
