//! Live orders that an older version placed beside this one: they get a saga that is due, and take their clocks when it is fired.

use sqlx_macros::FromRow;

use crate::domain::order::Status;
use crate::storage::commands::{MaintenanceProgress, TakeInOrders};
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};

use super::execute::{Context, Execute};

// By the index of open orders. What it holds is as much as a shop has on its board.
static TAKE_IN: LazyStatement = LazyStatement::new(|| {
    let ends = words(Status::ALL.into_iter().filter(|status| status.is_end()).map(Status::as_str));
    Statement::new(
        Operation::Insert("order_sagas"),
        &format!(
            "INSERT INTO order_sagas (order_id, business_id, due_at, attempt, state, created_at) \
             SELECT o.id, o.business_id, $1, 0, '{{}}', o.created_at FROM orders o WHERE o.status NOT IN ({ends}) \
                 AND NOT EXISTS (SELECT 1 FROM order_sagas s WHERE s.order_id = o.id) ORDER BY o.id LIMIT $2 \
             ON CONFLICT (order_id) DO NOTHING RETURNING order_id"
        ),
    )
});

#[derive(FromRow)]
struct TakenInRead {
    order_id: String,
}

impl Execute for TakeInOrders {
    type Output = MaintenanceProgress;

    async fn execute(&self, cx: Context<'_>) -> Result<MaintenanceProgress, TxError> {
        let args = [Arg::Int(cx.now.as_micros()), Arg::Int(self.limit.into())];
        let taken_in: Vec<TakenInRead> = cx.connection.fetch(&TAKE_IN, &args).await?;
        let changed = u64::try_from(taken_in.len()).unwrap_or(u64::MAX);
        let more = changed >= u64::from(self.limit);
        let last = taken_in.into_iter().next_back().filter(|_| more).map(|row| row.order_id);
        Ok(MaintenanceProgress { changed, last })
    }
}
