//! Orders (requirements 3.1 to 3.6): placing, listing, reading, moving, and what happened to them.

mod list;
mod place;
mod read;
mod timeline;
mod transition;

use std::sync::Arc;

use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::access::{Principal, Role};
use crate::domain::ids::OrderId;
use crate::domain::order::{Order, Party};
use crate::protocol::views::{Contact, OrderView};

use crate::http::response::cache_status::Parts;
use crate::http::response::problem::ApiError;
use crate::http::app_state::Api;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(place::place)
        .service(list::list)
        .service(read::read)
        .service(timeline::timeline)
        .service(transition::change_status);
}

impl Api {
    /// An order and in which capacity somebody may deal with it.
    ///
    /// # Errors
    /// 404 for whoever has nothing to do with it, whether or not it exists.
    async fn order_for(&self, principal: Principal, id: OrderId) -> Result<(Order, Party), ApiError> {
        let order = self.store.order(id).await?.ok_or_else(ApiError::not_found)?;
        let party = match party_without_business(principal, &order) {
            Some(party) => party,
            None if principal.role == Role::Merchant => {
                self.membership(principal, order.business_id).await?;
                Party::Member
            }
            None => return Err(ApiError::not_found()),
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
        let party = match party_without_business(principal, &order) {
            Some(party) => party,
            None if principal.role == Role::Merchant => {
                parts.take(self.membership_to_see(principal, order.business_id).await?);
                Party::Member
            }
            None => return Err(ApiError::not_found()),
        };
        Ok((order, party))
    }
}

/// In which capacity somebody may deal with an order, whatever business it is of. Drivers have none: deliveries are not
/// assigned to anybody yet.
fn party_without_business(principal: Principal, order: &Order) -> Option<Party> {
    match principal.role {
        Role::Admin => Some(Party::Admin),
        Role::Customer => (order.customer_id == principal.user).then_some(Party::Customer),
        Role::Merchant | Role::Driver => None,
    }
}

/// The order as `party` sees it: phone and address stay with the customer, others see them until the order ends
/// (requirement 3.3).
fn view_for(order: &Order, party: Party) -> OrderView {
    let shown = party == Party::Customer || !order.status.is_end();
    OrderView::new(order, if shown { Contact::Shown } else { Contact::Hidden })
}
