//! How soon businesses answer their orders.

use std::sync::LazyLock;

use sqlx_macros::FromRow;

use crate::domain::ids::BusinessId;
use crate::domain::order::{EndedCode, Party, Status};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::AnswerTimes;
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

/// Most orders that the slowest businesses are found among: the newest ones.
const MOST_ORDERS: u32 = 50_000;

/// The figures of each business in `answered`: columns business_id, took and ended_code, of orders since a moment. A quantile is
/// the time that so many of a hundred answers took at most (nearest rank).
fn figures(answered: &str) -> String {
    let unanswered = EndedCode::Unanswered.as_str();
    format!(
        "SELECT found.business_id, \
             max(CASE WHEN found.n = (found.answers + 1) / 2 THEN found.took END) AS p50, \
             max(CASE WHEN found.n = (found.answers * 9 + 9) / 10 THEN found.took END) AS p90, \
             count(found.took) AS answered, \
             count(CASE WHEN found.ended_code = '{unanswered}' THEN 1 END) AS unanswered \
         FROM (SELECT asked.business_id, asked.took, asked.ended_code, \
                   row_number() OVER (PARTITION BY asked.business_id ORDER BY asked.took NULLS LAST) AS n, \
                   count(asked.took) OVER (PARTITION BY asked.business_id) AS answers \
               FROM ({answered}) AS asked) AS found \
         GROUP BY found.business_id"
    )
}

/// Orders with the time that a person of the business took for the answer. One that a member placed waits for nobody, and one that the
/// hub accepted by itself was answered by no person: neither has such a time.
static ORDER: LazyLock<String> = LazyLock::new(|| {
    let (member, hub) = (Party::Member.as_str(), Party::System.as_str());
    format!(
        "SELECT o.business_id, o.ended_code, o.created_at, \
             CASE WHEN o.placed_by = '{member}' OR EXISTS (SELECT 1 FROM order_events e \
                 WHERE e.order_id = o.id AND e.to_status = '{accepted}' AND e.party = '{hub}' {{one}}) \
             THEN NULL ELSE o.answered_at - o.placed_at END AS took FROM orders o",
        accepted = Status::Accepted.as_str()
    )
});

static OF_BUSINESSES: LazyStatement = LazyStatement::new(|| {
    let orders = format!("{} WHERE o.business_id = {{any}} AND o.created_at >= $2", *ORDER);
    Statement::new(Operation::Select("orders"), &figures(&orders))
});

static SLOWEST: LazyStatement = LazyStatement::new(|| {
    let newest = format!(
        "{} WHERE o.created_at >= $1 ORDER BY o.created_at DESC, o.id DESC LIMIT {MOST_ORDERS}",
        *ORDER
    );
    let text = format!("{} ORDER BY p90 DESC NULLS LAST, found.business_id LIMIT $2", figures(&newest));
    Statement::new(Operation::Select("orders"), &text)
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&OF_BUSINESSES, &SLOWEST];

#[derive(FromRow)]
struct FiguresRow {
    business_id: String,
    p50: Option<i64>,
    p90: Option<i64>,
    answered: i64,
    unanswered: i64,
}

impl FiguresRow {
    fn read(self) -> Result<(BusinessId, AnswerTimes), StoreError> {
        let seconds = |micros: Option<i64>| micros.map(|micros| micros.max(0) / 1_000_000);
        let times = AnswerTimes {
            p50_s: seconds(self.p50).map(|s| number("orders.answered_at", s)).transpose()?,
            p90_s: seconds(self.p90).map(|s| number("orders.answered_at", s)).transpose()?,
            answered: number("count", self.answered)?,
            unanswered: number("count", self.unanswered)?,
        };
        Ok((parse("orders.business_id", &self.business_id)?, times))
    }
}

/// Of these businesses; one without orders since then is not in the answer.
pub(super) async fn of_businesses(
    store: &SqlStore,
    businesses: &[BusinessId],
    since: Timestamp,
) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError> {
    let args = [Arg::texts(businesses), Arg::Int(since.as_micros())];
    let rows: Vec<FiguresRow> = store.fetch(&OF_BUSINESSES, &args).await?;
    rows.into_iter().map(FiguresRow::read).collect()
}

/// Of the businesses that take longest, by their p90.
pub(super) async fn slowest(
    store: &SqlStore,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<(BusinessId, AnswerTimes)>, StoreError> {
    let args = [Arg::Int(since.as_micros()), Arg::Int(limit.into())];
    let rows: Vec<FiguresRow> = store.fetch(&SLOWEST, &args).await?;
    rows.into_iter().map(FiguresRow::read).collect()
}
