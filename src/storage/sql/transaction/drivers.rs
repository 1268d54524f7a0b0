//! Signs of life and positions of drivers.

use serde::Serialize;

use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::commands::DriverSeen;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

// Nothing goes back. A driver whose row somebody holds is passed over: the next sign of life is seconds away.
static SEEN: LazyStatement = LazyStatement::new(|| {
    let is_newer = "r.position_at > COALESCE(drivers.position_at, 0)";
    let newer =
        |column: &str| format!("{column} = CASE WHEN {is_newer} THEN r.{column} ELSE drivers.{column} END");
    let position = ["lat", "lng", "position_at"].map(newer).join(", ");
    let text = format!(
        "UPDATE drivers SET alive_at = CASE WHEN drivers.alive_at > r.alive_at THEN drivers.alive_at ELSE r.alive_at END, \
             {position} FROM {{rows}} WHERE drivers.user_id = r.user_id"
    );
    // SQLite would begin with the list of those who are free, and go through all rows for each of them.
    let free = "AND drivers.user_id IN (SELECT d.user_id FROM drivers d \
             WHERE d.user_id IN (SELECT r.user_id FROM {rows}) FOR NO KEY UPDATE SKIP LOCKED)";
    let columns = "user_id text, alive_at int, lat float, lng float, position_at int";
    Statement::apart(Operation::Update("drivers"), columns, &format!("{text} {free}"), &text)
});

#[derive(Serialize)]
struct SeenRow {
    user_id: UserId,
    alive_at: i64,
    lat: Option<f64>,
    lng: Option<f64>,
    position_at: Option<i64>,
}

impl Execute for Vec<DriverSeen> {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let row = |seen: &DriverSeen| SeenRow {
            user_id: seen.driver,
            alive_at: seen.alive_at.as_micros(),
            lat: seen.position.map(|position| position.location.lat),
            lng: seen.position.map(|position| position.location.lng),
            position_at: seen.position.map(|position| Timestamp::as_micros(position.at)),
        };
        let rows: Vec<SeenRow> = self.iter().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        cx.connection.execute(&SEEN, &[Arg::rows(&rows)]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;
    use crate::storage::sql::statement::Dialect;

    #[tokio::test]
    async fn on_sqlite_a_thousand_drivers_are_gone_through_once_and_found_by_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx_macros::migrate!("migrations/sqlite").run_direct(None, &mut connection, false).await.unwrap();
        let text = format!("EXPLAIN QUERY PLAN {}", SEEN.text(Dialect::Sqlite).as_str());
        let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        assert!(steps[0].starts_with("SCAN"), "{steps:?}");
        assert!(steps.len() == 2 && steps[1].starts_with("SEARCH drivers USING INDEX"), "{steps:?}");
    }
}
