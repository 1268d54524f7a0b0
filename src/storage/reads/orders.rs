//! Single orders and lists of them.

use sqlx::FromRow;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::batch::ITEMS_OF_ORDERS;
use crate::storage::error::StoreError;
use crate::storage::ports::{BusinessStats, More, OrderPage, OrderQuery, OrderScope, PageStart};
use crate::storage::rows::{ORDER_COLUMNS, OrderRow, assemble, corrupt, number};
use crate::storage::search;
use crate::storage::statement::{Arg, Dialect, LazyStatement, Statement};
use crate::storage::store::SqlStore;

static ORDER: LazyStatement =
    LazyStatement::new(|| Statement::new(&format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = $1")));

// Both halves are ranges of an index: today's orders, and those in one status.
static STATS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT count(*) AS orders, \
             CAST(COALESCE(SUM(CASE WHEN o.status IN ('rejected', 'cancelled', 'failed') THEN 0 \
                 ELSE o.total_minor END), 0) AS BIGINT) AS revenue, \
             (SELECT count(*) FROM orders w WHERE w.business_id = $1 AND w.status = 'placed') AS pending \
         FROM orders o WHERE o.business_id = $1 AND o.created_at >= $2 AND o.status <> 'pending_payment'",
    )
});

#[derive(FromRow)]
struct StatsRow {
    orders: i64,
    revenue: i64,
    pending: i64,
}

#[derive(FromRow)]
struct CountRow {
    n: i64,
}

pub(in crate::storage) async fn order(store: &SqlStore, id: OrderId) -> Result<Option<Order>, StoreError> {
    let rows: Vec<OrderRow> = store.fetch(&ORDER, &[Arg::text(id)]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(with_lines(store, rows).await?.pop())
}

async fn with_lines(store: &SqlStore, rows: Vec<OrderRow>) -> Result<Vec<Order>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Arg::texts(rows.iter().map(|row| &row.id));
    let lines = store.fetch(&ITEMS_OF_ORDERS, &[ids]).await?;
    assemble(rows, lines, &store.cipher)
}

pub(in crate::storage) async fn stats(
    store: &SqlStore,
    business: BusinessId,
    since: Timestamp,
) -> Result<BusinessStats, StoreError> {
    let at = Timestamp::now();
    let args = [Arg::text(business), Arg::Int(since.as_micros())];
    let row: Option<StatsRow> = store.fetch_first(&STATS, &args).await?;
    let row = row.ok_or_else(|| corrupt("orders"))?;
    Ok(BusinessStats {
        orders: number("count", row.orders)?,
        revenue_minor: row.revenue,
        pending: number("count", row.pending)?,
        at,
    })
}

/// The conditions of a list: made of a few fixed pieces, so that there are a few dozen texts and no more.
struct Conditions {
    text: String,
    args: Vec<Arg>,
}

impl Conditions {
    /// Those of `query`, its start left out.
    fn of(query: &OrderQuery, dialect: Dialect) -> Self {
        let mut conditions = Self { text: "true".to_owned(), args: Vec::new() };
        match query.scope {
            OrderScope::Customer(user) => conditions.add("o.customer_id = ?", [Arg::text(user)]),
            OrderScope::Member(user) => conditions.add(
                "o.business_id IN (SELECT m.business_id FROM members m WHERE m.user_id = ?)",
                [Arg::text(user)],
            ),
            OrderScope::Everybody => {}
        }
        if let Some(business) = query.business {
            conditions.add("o.business_id = ?", [Arg::text(business)]);
        }
        if let Some(status) = query.status {
            conditions.add("o.status = ?", [Arg::text(status.as_str())]);
        }
        if let Some(words) = search::query(&query.words, dialect) {
            let found = match dialect {
                Dialect::Postgres => "o.search @@ ?::text::tsquery",
                Dialect::Sqlite => {
                    "o.id IN (SELECT s.order_id FROM orders_search s WHERE s.orders_search MATCH ?)"
                }
            };
            conditions.add(found, [Arg::Text(words)]);
        }
        conditions
    }

    /// Adds a condition with a `?` for each argument.
    fn add<const N: usize>(&mut self, condition: &str, args: [Arg; N]) {
        self.text.push_str(" AND ");
        let mut pieces = condition.split('?');
        self.text.push_str(pieces.next().unwrap_or_default());
        for (piece, arg) in pieces.zip(args) {
            self.args.push(arg);
            self.text.push_str(&format!("${}{piece}", self.args.len()));
        }
    }
}

/// The list and its arguments; one order more than asked for tells whether more follow.
fn list(query: &OrderQuery, dialect: Dialect) -> (Statement, Vec<Arg>) {
    let mut conditions = Conditions::of(query, dialect);
    let mut skipped = 0;
    match query.start {
        PageStart::Offset(offset) => skipped = i64::try_from(offset).unwrap_or(i64::MAX),
        PageStart::After(at, id) => {
            conditions.add("(o.created_at, o.id) < (?, ?)", [Arg::Int(at.as_micros()), Arg::text(id)]);
        }
    }
    let Conditions { text, mut args } = conditions;
    let n = args.len();
    args.extend([Arg::Int(i64::from(query.limit) + 1), Arg::Int(skipped)]);
    let text = format!(
        "SELECT {ORDER_COLUMNS} FROM orders o WHERE {text} ORDER BY o.created_at DESC, o.id DESC \
         LIMIT ${} OFFSET ${}",
        n + 1,
        n + 2
    );
    (Statement::new(&text), args)
}

fn count(query: &OrderQuery, dialect: Dialect) -> (Statement, Vec<Arg>) {
    let Conditions { text, args } = Conditions::of(query, dialect);
    (Statement::new(&format!("SELECT count(*) AS n FROM orders o WHERE {text}")), args)
}

pub(in crate::storage) async fn page(store: &SqlStore, query: &OrderQuery) -> Result<OrderPage, StoreError> {
    let dialect = store.reading.dialect();
    let (statement, args) = list(query, dialect);
    let mut rows: Vec<OrderRow> = store.fetch(&statement, &args).await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = if rows.len() > limit { More::Follow } else { More::End };
    rows.truncate(limit);
    let total = match query.start {
        PageStart::Offset(_) => {
            let (statement, args) = count(query, dialect);
            let counted: Option<CountRow> = store.fetch_first(&statement, &args).await?;
            counted.map(|row| number("count", row.n)).transpose()?
        }
        PageStart::After(..) => None,
    };
    Ok(OrderPage { orders: with_lines(store, rows).await?, total, more })
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::order::Status;

    #[tokio::test]
    async fn statistics_go_through_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("migrations/sqlite").run_direct(None, &mut connection, false).await.unwrap();
        let text = format!("EXPLAIN QUERY PLAN {}", STATS.text(Dialect::Sqlite).as_str());
        let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
        for step in plan {
            let step: String = step.get("detail");
            assert!(!step.starts_with("SCAN o") && !step.starts_with("SCAN w"), "{step}");
        }
    }

    fn every_query() -> Vec<OrderQuery> {
        let mut queries = Vec::new();
        let user = UserId::generate();
        for scope in [OrderScope::Customer(user), OrderScope::Member(user), OrderScope::Everybody] {
            for business in [None, Some(BusinessId::generate())] {
                for status in [None, Some(Status::Placed)] {
                    for words in [Vec::new(), vec!["ana".to_owned()]] {
                        for start in [
                            PageStart::Offset(0),
                            PageStart::After(Timestamp::default(), OrderId::generate()),
                        ] {
                            let words = words.clone();
                            queries.push(OrderQuery { scope, business, status, words, start, limit: 20 });
                        }
                    }
                }
            }
        }
        queries
    }

    #[tokio::test]
    async fn every_list_goes_through_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("migrations/sqlite").run_direct(None, &mut connection, false).await.unwrap();
        for query in every_query() {
            for (statement, _) in [list(&query, Dialect::Sqlite), count(&query, Dialect::Sqlite)] {
                let text = format!("EXPLAIN QUERY PLAN {}", statement.text(Dialect::Sqlite).as_str());
                let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
                for step in plan {
                    let step: String = step.get("detail");
                    // Whoever may see everything walks along an index; everybody else enters one.
                    let walks = query.scope == OrderScope::Everybody && step.contains("USING");
                    assert!(walks || !step.starts_with("SCAN o "), "{query:?}: {step}");
                }
            }
        }
    }
}
