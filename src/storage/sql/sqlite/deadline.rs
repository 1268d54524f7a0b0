//! The end of a statement on SQLite, which has no time limit of its own: it asks every few thousand steps whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Error, SqliteConnection};

/// Steps between two questions: some tenths of a millisecond, and nothing that a statement would notice.
const STEPS: i32 = 10_000;

/// No statement runs, or it has no limit.
const NEVER: u64 = u64::MAX;

/// Time limit of the statements of a connection.
#[derive(Clone, Debug)]
pub(in crate::storage::sql) struct Deadline {
    limit: Duration,
    began: Instant,
    /// Milliseconds after `began`.
    at: Arc<AtomicU64>,
}

impl Deadline {
    /// One for `connection`, which from now on is interrupted when a statement takes longer than `limit`.
    pub(in crate::storage::sql) async fn of(
        connection: &mut SqliteConnection,
        limit: Duration,
    ) -> Result<Self, Error> {
        let deadline = Self { limit, began: Instant::now(), at: Arc::new(AtomicU64::new(NEVER)) };
        let asked = deadline.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !asked.is_over());
        Ok(deadline)
    }

    /// A statement begins.
    pub(in crate::storage::sql) fn begin(&self) {
        self.set(self.elapsed().saturating_add(millis(self.limit)));
    }

    /// The statement has ended.
    pub(in crate::storage::sql) fn end(&self) {
        self.set(NEVER);
    }

    /// Ends the statement that runs: its caller has gone.
    pub(in crate::storage::sql) fn give_up(&self) {
        self.set(0);
    }

    fn is_over(&self) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != NEVER && self.elapsed() >= at
    }

    fn set(&self, at: u64) {
        self.at.store(at, Ordering::Relaxed);
    }

    fn elapsed(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";

    async fn interrupted(limit: Duration, gone: bool) -> String {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let deadline = Deadline::of(&mut connection, limit).await.unwrap();
        deadline.begin();
        if gone {
            deadline.give_up();
        }
        let error = sqlx::query(ENDLESS).execute(&mut connection).await.unwrap_err();
        deadline.end();
        sqlx::query("SELECT 1").execute(&mut connection).await.expect("it can be asked again");
        error.as_database_error().and_then(|error| error.code()).unwrap().into_owned()
    }

    #[tokio::test]
    async fn a_statement_without_end_is_interrupted_and_the_connection_goes_on() {
        assert_eq!(interrupted(Duration::from_millis(20), false).await, "9");
        assert_eq!(interrupted(Duration::from_secs(3_600), true).await, "9");
    }
}
