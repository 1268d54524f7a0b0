//! The party in which a principal may deal with an order, and the order as that party sees it.

use std::sync::Arc;

use crate::domain::access::Principal;
use crate::domain::authorization::{OrderAccess, order_access, sees_contact};
use crate::domain::ids::OrderId;
use crate::domain::order::{Order, Party};
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::problem::ApiError;
use crate::protocol::views::{Contact, OrderView};

/// An order and the party in which `principal` may deal with it.
///
/// # Errors
/// 404 for a principal who has nothing to do with it, whether or not it exists.
pub(in crate::http::routes) async fn order_for(
    app: &AppState,
    principal: Principal,
    id: OrderId,
) -> Result<(Order, Party), ApiError> {
    let order = app.store.order(id).await?.ok_or_else(ApiError::not_found)?;
    let party = match order_access(principal, order.customer_id, order.business_id) {
        OrderAccess::Granted(party) => party,
        OrderAccess::ToMembersOf(business) => {
            authorization::membership(app, principal, business).await?;
            Party::Member
        }
        OrderAccess::Denied => return Err(ApiError::not_found()),
    };
    Ok((order, party))
}

/// As [`order_for`], for reads only: the order may come from memory, and while the store is away so may its members.
///
/// # Errors
/// As [`order_for`].
pub(super) async fn cached_order_for(
    app: &AppState,
    principal: Principal,
    id: OrderId,
    freshness: &mut CacheStatus,
) -> Result<(Arc<Order>, Party), ApiError> {
    let order = freshness.take(app.reads.order(id).await?.ok_or_else(ApiError::not_found)?);
    let party = match order_access(principal, order.customer_id, order.business_id) {
        OrderAccess::Granted(party) => party,
        OrderAccess::ToMembersOf(business) => {
            freshness.take(authorization::cached_membership(app, principal, business).await?);
            Party::Member
        }
        OrderAccess::Denied => return Err(ApiError::not_found()),
    };
    Ok((order, party))
}

/// The order as `party` sees it.
pub(super) fn view_for(order: &Order, party: Party) -> OrderView {
    let contact = if sees_contact(party, order.status) { Contact::Shown } else { Contact::Hidden };
    OrderView::new(order, contact)
}
