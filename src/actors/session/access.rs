//! Who may be in a room.

use crate::domain::access::{Principal, Role};
use crate::domain::room::RoomId;
use crate::storage::{Store, StoreError};

/// Whether a client may be in a room. An absent room is like a foreign one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomAccess {
    /// It may.
    Granted,
    /// It may not, or there is no such room.
    NoSuchRoom,
}

/// Asks the store: a business's room is for its members and admins; an order's for its customer, the members of
/// its business and admins.
pub async fn room_access(store: &dyn Store, who: Principal, room: RoomId) -> Result<RoomAccess, StoreError> {
    let granted = match room {
        RoomId::Business(business) if who.role == Role::Admin => store.business(business).await?.is_some(),
        RoomId::Business(business) => store.membership(business, who.user).await?.is_some(),
        RoomId::Order(order) => match store.order(order).await? {
            None => false,
            Some(order) if who.role == Role::Admin || order.customer_id == who.user => true,
            Some(order) => store.membership(order.business_id, who.user).await?.is_some(),
        },
    };
    Ok(if granted { RoomAccess::Granted } else { RoomAccess::NoSuchRoom })
}
