//! The short numbers of orders: counted for each business and day, and none that an open order has.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::Status;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{corrupt, number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};

static COUNT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_counters"),
        "business_id text, day text, n int",
        "INSERT INTO order_counters (business_id, day, last) \
         SELECT r.business_id, r.day, r.n FROM {rows} WHERE true ORDER BY r.business_id, r.day \
         ON CONFLICT (business_id, day) DO UPDATE SET last = order_counters.last + excluded.last \
         RETURNING business_id, day, last",
    )
});

// The words of the index, in its order: it holds open orders only.
static IN_USE: LazyStatement = LazyStatement::new(|| {
    let ends = words(Status::ALL.into_iter().filter(|status| status.is_end()).map(Status::as_str));
    Statement::over(
        Operation::Select("orders"),
        "business_id text, n int",
        &format!(
            "SELECT r.business_id, r.n FROM {{rows}} WHERE EXISTS (SELECT 1 FROM orders o \
                 WHERE o.business_id = r.business_id AND o.order_number = r.n AND o.status NOT IN ({ends}) {{one}})"
        ),
    )
});

/// Searches for numbers that no open order has, each for twice as many. A business with thousands of orders of
/// other days that nobody ever ended gets numbers that some of those have as well.
const ROUNDS: u32 = 12;

#[derive(Serialize)]
struct CounterRow<'a> {
    business_id: BusinessId,
    day: &'a str,
    n: usize,
}

#[derive(FromRow)]
struct CounterRead {
    business_id: String,
    day: String,
    last: i64,
}

#[derive(Serialize)]
struct NumberRow {
    business_id: BusinessId,
    n: u32,
}

#[derive(FromRow)]
struct NumberRead {
    business_id: String,
    n: i64,
}

/// A business and its day.
type Day<'a> = (BusinessId, &'a str);

/// Gives each of these orders, of a business and its day, the next number of that day.
pub(super) async fn give(
    connection: &mut Connection,
    orders: impl Iterator<Item = (OrderId, BusinessId, &str)>,
) -> Result<HashMap<OrderId, u32>, TxError> {
    let mut waiting: BTreeMap<Day<'_>, VecDeque<OrderId>> = BTreeMap::new();
    for (id, business, day) in orders {
        waiting.entry((business, day)).or_default().push_back(id);
    }
    let (mut numbers, mut given) = (HashMap::new(), HashSet::new());
    for round in 0..ROUNDS {
        let counted = count(connection, &waiting, 1 << round.saturating_sub(1)).await?;
        if round + 1 < ROUNDS {
            given.extend(in_use(connection, &counted).await?);
        }
        for row in counted {
            let Some(ids) = waiting.get_mut(&row.day) else { continue };
            // Two days of one business may meet in one transaction.
            if given.insert((row.day.0, row.n)) || round + 1 == ROUNDS {
                numbers.extend(ids.pop_front().map(|id| (id, row.n)));
            }
        }
        waiting.retain(|_, ids| !ids.is_empty());
        if waiting.is_empty() {
            break;
        }
    }
    Ok(numbers)
}

/// A number of a day.
struct Counted<'a> {
    day: Day<'a>,
    n: u32,
}

/// Takes the next numbers of each day, `times` as many as there are orders that wait for one; in order for each day.
async fn count<'a>(
    connection: &mut Connection,
    waiting: &BTreeMap<Day<'a>, VecDeque<OrderId>>,
    times: usize,
) -> Result<Vec<Counted<'a>>, TxError> {
    let rows: Vec<CounterRow<'_>> = waiting
        .iter()
        .map(|((business_id, day), ids)| CounterRow { business_id: *business_id, day, n: ids.len() * times })
        .collect();
    let counters: Vec<CounterRead> = connection.fetch(&COUNT, &[Arg::rows(&rows)]).await?;
    let mut counted = Vec::new();
    for counter in counters {
        let business: BusinessId = parse("order_counters.business_id", &counter.business_id)?;
        let (day, ids) = waiting
            .iter()
            .find(|((of, day), _)| *of == business && *day == counter.day)
            .ok_or_else(|| corrupt("order_counters.day"))?;
        let last: u32 = number("order_counters.last", counter.last)?;
        let count = u32::try_from(ids.len() * times).map_err(|_| corrupt("order_counters.last"))?;
        let first = last.checked_sub(count).ok_or_else(|| corrupt("order_counters.last"))? + 1;
        counted.extend((first..=last).map(|n| Counted { day: *day, n }));
    }
    Ok(counted)
}

/// Which of these numbers open orders of the business have.
async fn in_use(
    connection: &mut Connection,
    counted: &[Counted<'_>],
) -> Result<Vec<(BusinessId, u32)>, TxError> {
    let rows: Vec<NumberRow> =
        counted.iter().map(|row| NumberRow { business_id: row.day.0, n: row.n }).collect();
    let taken: Vec<NumberRead> = connection.fetch(&IN_USE, &[Arg::rows(&rows)]).await?;
    let read = |row: NumberRead| {
        Ok((parse("orders.business_id", &row.business_id)?, number("orders.order_number", row.n)?))
    };
    taken.into_iter().map(read).collect()
}
