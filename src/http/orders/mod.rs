//! Orders (requirements 3.1 to 3.6): placing, listing, reading, moving, and what happened to them.

mod list;
mod moving;
mod placing;
mod reading;
mod tag;
mod timeline;

use std::sync::Arc;

use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::access::Principal;
use crate::domain::authorization::{OrderAccess, order_access, sees_contact};
use crate::domain::ids::OrderId;
use crate::domain::order::{Order, Party};
use crate::protocol::views::{Contact, OrderView};

use super::freshness::Parts;
use super::problem::ApiError;
use super::state::Api;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(placing::place)
        .service(list::list)
        .service(reading::read)
        .service(timeline::timeline)
        .service(moving::change_status);
}

impl Api {
    /// An order and in which capacity somebody may deal with it.
    ///
    /// # Errors
    /// 404 for whoever has nothing to do with it, whether or not it exists.
    async fn order_for(&self, principal: Principal, id: OrderId) -> Result<(Order, Party), ApiError> {
        let order = self.store.order(id).await?.ok_or_else(ApiError::not_found)?;
        let party = match order_access(principal, order.customer_id, order.business_id) {
            OrderAccess::Granted(party) => party,
            OrderAccess::ToMembersOf(business) => {
                self.membership(principal, business).await?;
                Party::Member
            }
            OrderAccess::Denied => return Err(ApiError::not_found()),
        };
        Ok((order, party))
    }

    /// As [`Self::order_for`], for showing only: the order may come from memory, and while the store is away so may who
    /// works where.
    ///
    /// # Errors
    /// As [`Self::order_for`].
    async fn order_shown_to(
        &self,
        principal: Principal,
        id: OrderId,
        parts: &mut Parts,
    ) -> Result<(Arc<Order>, Party), ApiError> {
        let order = parts.take(self.reads.order(id).await?.ok_or_else(ApiError::not_found)?);
        let party = match order_access(principal, order.customer_id, order.business_id) {
            OrderAccess::Granted(party) => party,
            OrderAccess::ToMembersOf(business) => {
                parts.take(self.membership_to_see(principal, business).await?);
                Party::Member
            }
            OrderAccess::Denied => return Err(ApiError::not_found()),
        };
        Ok((order, party))
    }
}

/// The order as `party` sees it.
fn view_for(order: &Order, party: Party) -> OrderView {
    let contact = if sees_contact(party, order.status) { Contact::Shown } else { Contact::Hidden };
    OrderView::new(order, contact)
}
