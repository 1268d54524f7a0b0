//! The party in which a principal may deal with an order, and the order as that party sees it.

use std::sync::Arc;

use crate::domain::access::{Principal, Role};
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
pub(super) async fn order_for(
    app: &AppState,
    principal: Principal,
    id: OrderId,
) -> Result<(Order, Party), ApiError> {
    let order = app.store.order(id).await?.ok_or_else(ApiError::not_found)?;
    let party = match party_without_business(principal, &order) {
        Some(party) => party,
        None if principal.role == Role::Merchant => {
            authorization::membership(app, principal, order.business_id).await?;
            Party::Member
        }
        None => return Err(ApiError::not_found()),
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
    let party = match party_without_business(principal, &order) {
        Some(party) => party,
        None if principal.role == Role::Merchant => {
            freshness.take(authorization::cached_membership(app, principal, order.business_id).await?);
            Party::Member
        }
        None => return Err(ApiError::not_found()),
    };
    Ok((order, party))
}

/// The party of a principal who needs no membership. Drivers have none: deliveries are not assigned to anybody yet.
fn party_without_business(principal: Principal, order: &Order) -> Option<Party> {
    match principal.role {
        Role::Admin => Some(Party::Admin),
        Role::Customer => (order.customer_id == principal.user).then_some(Party::Customer),
        Role::Merchant | Role::Driver => None,
    }
}

/// The order as `party` sees it: phone and address stay with the customer, others see them until the order ends
/// (requirement 3.3).
pub(super) fn view_for(order: &Order, party: Party) -> OrderView {
    let shown = party == Party::Customer || !order.status.is_end();
    OrderView::new(order, if shown { Contact::Shown } else { Contact::Hidden })
}
