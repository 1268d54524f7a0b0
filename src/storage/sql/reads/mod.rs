//! Reads, a file for each aggregate: its statements and the port it implements. Every list goes through an index.

mod accounts;
mod answer_times;
mod businesses;
mod deliveries;
mod due_place;
mod held_copy;
mod holds;
mod idempotency;
mod lists;
mod maintenance;
mod nodes;
mod notifications;
mod order_items;
mod orders;
mod oversight;
mod payments;
mod rooms;
mod sagas;
mod timeline;

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;
    use crate::storage::sql::statement::Dialect;

    /// Indexes that hold only the rows that are asked for, so that all of them are read.
    const WHOLE: &[&str] = &[
        "INDEX dead_letters_open",
        "INDEX dead_letters_open_of_order",
        "INDEX payment_messages_due",
        "INDEX drivers_online",
        "INDEX payment_messages_open",
        "INDEX refunds_open",
        "INDEX deliveries_searched",
    ];

    #[tokio::test]
    async fn on_sqlite_everything_that_is_read_is_found_by_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx_macros::migrate!("migrations/sqlite").run_direct(None, &mut connection, false).await.unwrap();
        let all = [
            accounts::STATEMENTS,
            answer_times::STATEMENTS,
            businesses::STATEMENTS,
            deliveries::STATEMENTS,
            held_copy::STATEMENTS,
            idempotency::STATEMENTS,
            notifications::STATEMENTS,
            orders::STATEMENTS,
            oversight::STATEMENTS,
            payments::STATEMENTS,
            rooms::STATEMENTS,
            sagas::STATEMENTS,
            timeline::STATEMENTS,
            timeline::deliveries::STATEMENTS,
        ];
        for statement in all.concat() {
            let text = format!("EXPLAIN QUERY PLAN {}", statement.text(Dialect::Sqlite).as_str());
            let plan =
                sqlx::query(sqlx::AssertSqlSafe(text.clone())).fetch_all(&mut connection).await.unwrap();
            for step in plan {
                let step: String = step.get("detail");
                let scan = step.starts_with("SCAN")
                    && !step.starts_with("SCAN json_each")
                    // Rows that the statement itself has found.
                    && !step.starts_with("SCAN (subquery")
                    && step != "SCAN asked"
                    && step != "SCAN found"
                    && step != "SCAN CONSTANT ROW"
                    && !WHOLE.iter().any(|index| step.ends_with(index));
                assert!(!scan, "{text}: {step}");
            }
        }
    }
}
