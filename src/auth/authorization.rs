//! The rule of [`crate::domain::authorization`], with the memberships it asks for.
//!
//! Reading and listening are decided by the cache, so that devices that reconnect all at once do not queue for the store;
//! changes are decided by the store.

use crate::domain::access::{MemberRole, Principal};
use crate::domain::authorization::{
    BusinessAccess, OrderAccess, business_access, may_hear_driver, may_hear_ops, order_access,
};
use crate::domain::ids::BusinessId;
use crate::domain::room::RoomId;
use crate::storage::cache::{Cached, CachedReads};
use crate::storage::{Store, StoreError};

/// The decision whether a client may be in a room. An absent room is answered like a foreign one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomAccess {
    /// It may.
    Granted,
    /// It may not, or there is no such room.
    NoSuchRoom,
}

/// The role as which somebody may change things of a business, by the store; `None` if they may not or it does not exist.
pub async fn role_at(
    store: &dyn Store,
    who: Principal,
    business: BusinessId,
) -> Result<Option<MemberRole>, StoreError> {
    match business_access(who.role) {
        BusinessAccess::AsOwner => Ok(store.business(business).await?.map(|_| MemberRole::Owner)),
        BusinessAccess::ToMembers => store.membership(business, who.user).await,
        BusinessAccess::Denied => Ok(None),
    }
}

/// As [`role_at`], for showing only: while the store is away, the last known role holds.
pub async fn cached_role_at(
    reads: &CachedReads,
    who: Principal,
    business: BusinessId,
) -> Result<Option<Cached<MemberRole>>, StoreError> {
    match business_access(who.role) {
        BusinessAccess::AsOwner => {
            let found = reads.business(business).await?;
            Ok(found.map(|copy| Cached { value: MemberRole::Owner, freshness: copy.freshness }))
        }
        BusinessAccess::ToMembers => reads.membership(business, who.user).await,
        BusinessAccess::Denied => Ok(None),
    }
}

/// Decides whether somebody may be in a room: they may if they may see its business or its order; in that of a driver, if they are that
/// driver or an operator; in those of a zone and of the operators, if they are one. Nobody may be in that of the nodes.
pub async fn room_access(
    reads: &CachedReads,
    who: Principal,
    room: RoomId,
) -> Result<RoomAccess, StoreError> {
    let granted = match room {
        RoomId::Ops | RoomId::Zone(_) => may_hear_ops(who),
        RoomId::Control => false,
        RoomId::Driver(driver) => may_hear_driver(who, driver),
        RoomId::Business(business) => cached_role_at(reads, who, business).await?.is_some(),
        RoomId::Order(order) => match reads.order(order).await? {
            None => false,
            Some(order) => match order_access(who, &order.value) {
                OrderAccess::Granted(_) => true,
                OrderAccess::ToMembersOf(business) => cached_role_at(reads, who, business).await?.is_some(),
                OrderAccess::Denied => false,
            },
        },
    };
    Ok(if granted { RoomAccess::Granted } else { RoomAccess::NoSuchRoom })
}
