//! The orders that a driver carries, as a list.

use crate::domain::ids::{BusinessId, UserId};
use crate::domain::order::{Order, Status, order_number};
use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;
use crate::storage::{NextPage, OrderPage, PageStart, Total, search_words};

/// Most words of a name or a sku that are compared.
const MAX_WORDS: usize = 16;

/// The orders that are looked for among those a driver carries.
#[derive(Debug)]
pub(super) struct CarriedQuery {
    /// Only of this business.
    pub(super) business: Option<BusinessId>,
    /// Only in this status.
    pub(super) status: Option<Status>,
    /// Beginnings of words, all of them.
    pub(super) words: Vec<String>,
    /// Where the page begins: there is one page.
    pub(super) start: PageStart,
}

/// The orders that a driver carries: a few, which are read anew and filtered here.
pub(super) async fn page(
    app: &AppState,
    driver: UserId,
    query: &CarriedQuery,
) -> Result<OrderPage, ApiError> {
    let (is_counted, is_first) = match query.start {
        PageStart::Offset(offset) => (true, offset == 0),
        PageStart::After(..) => (false, false),
    };
    let carried = app.store.carried_by(driver).await?;
    let mut orders: Vec<Order> = carried.into_iter().map(|listed| listed.order).collect();
    orders.retain(|order| query.takes(order));
    orders.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.id)));
    let total = is_counted.then_some(Total::Exact(orders.len() as u64));
    let orders = if is_first { orders } else { Vec::new() };
    Ok(OrderPage { orders, total, more: NextPage::Absent })
}

impl CarriedQuery {
    fn takes(&self, order: &Order) -> bool {
        self.business.is_none_or(|business| business == order.business_id)
            && self.status.is_none_or(|status| status == order.status)
            && self.words.iter().all(|word| is_named(order, &word.to_lowercase()))
    }
}

/// Whether a word of the order begins like this.
fn is_named(order: &Order, word: &str) -> bool {
    let number = order_number(order.order_number);
    let skus = order.items.iter().map(|item| item.sku.as_str());
    let texts = skus.chain([order.customer_name.as_str(), number.as_str(), number.trim_start_matches('0')]);
    texts.flat_map(|text| search_words(text, MAX_WORDS)).any(|known| known.to_lowercase().starts_with(word))
}
