//! The party in which a principal may deal with an order, and the order as that party sees it.

use std::sync::Arc;

use crate::domain::access::Principal;
use crate::domain::authorization::{OrderAccess, order_access, sees_contact};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::OrderId;
use crate::domain::order::table::Way;
use crate::domain::order::{Order, Party};
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::problem::ApiError;
use crate::protocol::driver_views::CourierView;
use crate::protocol::views::{Contact, OrderView};
use crate::storage::StoreError;

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
    let party = match order_access(principal, &order) {
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
    let party = match order_access(principal, &order) {
        OrderAccess::Granted(party) => party,
        OrderAccess::ToMembersOf(business) => {
            freshness.take(authorization::cached_membership(app, principal, business).await?);
            Party::Member
        }
        OrderAccess::Denied => return Err(ApiError::not_found()),
    };
    Ok((order, party))
}

/// The order as `party` sees it at `now`.
pub(super) fn view_for(order: &Order, party: Party, now: Timestamp) -> OrderView {
    let contact = if sees_contact(party, order, now) { Contact::Shown } else { Contact::Hidden };
    OrderView::new(order, contact)
}

/// As [`view_for`], with who brings it. Where the store does not answer that, the rest is shown without it.
pub(super) async fn view_of_one(app: &AppState, order: &Order, party: Party) -> OrderView {
    let mut view = view_for(order, party, app.store.clock().now());
    let Some(delivery) = view.delivery.as_mut() else { return view };
    match courier(app, order, party).await {
        Ok((driver, code)) => (delivery.driver, delivery.code) = (driver, code),
        Err(error) => tracing::warn!(%error, order = %order.id, "an order is shown without its driver"),
    }
    view
}

/// Who brings an order, with where they are where `party` may see that, and the code that its customer tells them.
async fn courier(
    app: &AppState,
    order: &Order,
    party: Party,
) -> Result<(Option<CourierView>, Option<String>), StoreError> {
    let Some(of) = order.delivery.filter(|_| order.way() == Way::DriverDelivery) else {
        return Ok((None, None));
    };
    let driver = match of.driver.filter(|_| !of.status.is_searched()) {
        Some(driver) => app.store.driver(driver).await?,
        None => None,
    };
    let code = match party {
        Party::Customer if of.status.is_under_way() => app.store.delivery(of.id).await?,
        _ => None,
    };
    let driver = driver.map(|driver| CourierView::new(&driver, sees_driver(party, of.status)));
    Ok((driver, code.map(|listed| listed.delivery.code)))
}

/// Whether `party` sees where the driver of an order is: the customer while it is on its way, those who work on it while the driver has it.
pub(super) fn sees_driver(party: Party, status: DeliveryStatus) -> bool {
    match party {
        Party::Customer => status.is_under_way(),
        Party::Member | Party::Driver | Party::Admin | Party::System => status.is_carried(),
    }
}
