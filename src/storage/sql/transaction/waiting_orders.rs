//! Orders of one customer that wait at one business for an answer: counted once for a batch, and kept up to date in it.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, UserId};
use crate::domain::order::{Draft, Order, Party, Status};
use crate::storage::commands::PlaceOrder;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

// By an index of orders in this status alone.
static COUNT: LazyStatement = LazyStatement::new(|| {
    let placed = Status::Placed.as_str();
    Statement::over(
        Operation::Select("orders"),
        "customer_id text, business_id text",
        &format!(
            "SELECT o.customer_id, o.business_id, count(*) AS waiting FROM {{rows}} CROSS JOIN orders o \
             WHERE o.customer_id = r.customer_id AND o.business_id = r.business_id AND o.status = '{placed}' \
             GROUP BY o.customer_id, o.business_id"
        ),
    )
});

#[derive(Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pair {
    customer_id: UserId,
    business_id: BusinessId,
}

#[derive(FromRow)]
struct CountRow {
    customer_id: String,
    business_id: String,
    waiting: i64,
}

/// The numbers of waiting orders that drafts of the batch are judged by.
#[derive(Default)]
pub(super) struct WaitingOrders(HashMap<Pair, u32>);

impl WaitingOrders {
    /// Counts for the drafts that have a bound. Other nodes may add one at the same moment: the bound keeps out floods, and is not
    /// exact to the order.
    pub(super) async fn load<'d>(
        &mut self,
        connection: &mut Connection,
        places: impl Iterator<Item = &'d PlaceOrder>,
    ) -> Result<(), TxError> {
        let bounded = places.filter(|place| bound_of(place).is_some());
        let pairs: BTreeSet<Pair> = bounded.map(|place| Pair::of_draft(&place.draft)).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let rows: Vec<Pair> = pairs.iter().copied().collect();
        self.0 = pairs.into_iter().map(|pair| (pair, 0)).collect();
        for row in connection.fetch::<CountRow>(&COUNT, &[Arg::rows(&rows)]).await? {
            let pair = Pair {
                customer_id: parse("orders.customer_id", &row.customer_id)?,
                business_id: parse("orders.business_id", &row.business_id)?,
            };
            self.0.insert(pair, number("count", row.waiting)?);
        }
        Ok(())
    }

    /// Whether the customer has as many waiting orders as they may.
    pub(super) fn is_full_for(&self, place: &PlaceOrder) -> bool {
        let waiting = self.0.get(&Pair::of_draft(&place.draft)).copied().unwrap_or(0);
        bound_of(place).is_some_and(|most| waiting >= most)
    }

    /// An order of the batch has gone from one status to another; `None` is where it was placed.
    pub(super) fn moved(&mut self, order: &Order, from: Option<Status>) {
        let pair = Pair { customer_id: order.customer_id, business_id: order.business_id };
        let Some(waiting) = self.0.get_mut(&pair) else { return };
        match (from == Some(Status::Placed), order.status == Status::Placed) {
            (false, true) => *waiting += 1,
            (true, false) => *waiting = waiting.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
    }
}

impl Pair {
    fn of_draft(draft: &Draft) -> Self {
        Self { customer_id: draft.customer_id, business_id: draft.business_id }
    }
}

/// The bound of an order: members order for as many tables as they have.
fn bound_of(place: &PlaceOrder) -> Option<u32> {
    place.most_waiting.filter(|_| place.draft.placed_by == Party::Customer)
}
