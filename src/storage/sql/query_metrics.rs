//! What a statement does to which table, as the metrics call it.

use std::time::{Duration, Instant};

use crate::telemetry::metrics::Metrics;

const VERBS: [&str; 4] = ["select", "insert", "update", "delete"];

/// What a table's name follows.
const BEFORE_A_TABLE: [&str; 4] = ["from", "into", "join", "update"];

/// Every table there is on either database: a label can have no other value than these, `none` and `other`.
const TABLES: [&str; 24] = [
    "businesses",
    "commands",
    "device_acks",
    "device_marks",
    "devices",
    "hub",
    "idempotency_keys",
    "invitations",
    "members",
    "menu_items",
    "notification_reads",
    "notifications",
    "order_acks",
    "order_counters",
    "order_events",
    "order_items",
    "order_search",
    "orders",
    "orders_search",
    "room_events",
    "room_seq",
    "sessions",
    "tickets",
    "users",
];

/// A statement that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_millis(250);

/// Nothing of the four verbs, or a table of no schema.
const OTHER: &str = "other";

/// No table is asked.
const NONE: &str = "none";

/// The labels of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Operation {
    verb: &'static str,
    table: &'static str,
}

impl Operation {
    /// The main verb of `text`, and the first table it names outside of parentheses: the one written, or the first one
    /// read. When it names none there, the first one inside of them, such as that of a CTE.
    pub(in crate::storage) fn of(text: &str) -> Self {
        let mut verb = None;
        let mut inner = None;
        let mut missing = NONE;
        let mut previous = "";
        for (depth, word) in Words::of(text) {
            if depth == 0 && verb.is_none() {
                verb = listed(&VERBS, word);
            }
            if listed(&BEFORE_A_TABLE, previous).is_some() {
                missing = OTHER;
                match listed(&TABLES, word) {
                    Some(table) if depth == 0 => return Self { verb: verb.unwrap_or(OTHER), table },
                    Some(table) => inner = inner.or(Some(table)),
                    None => {}
                }
            }
            previous = word;
        }
        Self { verb: verb.unwrap_or(OTHER), table: inner.unwrap_or(missing) }
    }

    /// Measures from now until what this gives is dropped.
    pub(in crate::storage) fn begin(self, metrics: &Metrics) -> Running<'_> {
        Running { operation: self, metrics, began: Instant::now() }
    }
}

/// The one of `names` that `word` is.
fn listed(names: &[&'static str], word: &str) -> Option<&'static str> {
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(word))
}

/// An operation that runs. Counts when it is dropped, so that one that fails or is given up counts as well.
#[must_use = "it measures until it is dropped"]
pub(in crate::storage) struct Running<'m> {
    operation: Operation,
    metrics: &'m Metrics,
    pub(in crate::storage) began: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let labels = [self.operation.verb, self.operation.table];
        let took = self.began.elapsed();
        if took > SLOW {
            let [operation, table] = labels;
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation, table, took_ms, "a slow query");
        }
        let seconds = took.as_secs_f64();
        self.metrics.database_operations_total.with_label_values(&labels).inc();
        self.metrics.database_query_seconds.with_label_values(&labels).observe(seconds);
    }
}

/// The words of a statement that stand outside of quotes, each with the number of parentheses around it.
struct Words<'t> {
    rest: &'t str,
    depth: u32,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Self {
        Self { rest: text, depth: 0 }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = (u32, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        loop {
            let first = self.rest.chars().next()?;
            if in_word(first) {
                let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some((self.depth, word));
            }
            self.rest = &self.rest[first.len_utf8()..];
            match first {
                '(' => self.depth += 1,
                ')' => self.depth = self.depth.saturating_sub(1),
                '\'' => self.rest = self.rest.split_once('\'').map_or("", |(_, after)| after),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{Connection as _, SqliteConnection};
    use sqlx_macros::FromRow;

    use super::*;
    use crate::storage::sql::connection::{Connection, Link};
    use crate::storage::sql::connector::Connector;
    use crate::storage::sql::pool::{Pool, PoolLimits};
    use crate::storage::sql::read_pool::Reading;
    use crate::storage::sql::sqlite::Files;
    use crate::storage::sql::statement::Statement;

    #[test]
    fn a_statement_is_called_by_its_main_verb_and_the_first_table_it_names() {
        for (text, verb, table) in [
            ("SELECT id FROM users WHERE id = $1", "select", "users"),
            ("select id\nfrom orders_search s", "select", "orders_search"),
            ("INSERT INTO commands (id) SELECT r.id FROM {rows} RETURNING id", "insert", "commands"),
            ("INSERT INTO room_seq (room) SELECT r.room FROM {rows} CROSS JOIN hub h", "insert", "room_seq"),
            (
                "INSERT INTO members (role) VALUES ($1) ON CONFLICT DO UPDATE SET role = $2",
                "insert",
                "members",
            ),
            ("UPDATE sessions SET at = r.at FROM {rows} WHERE sessions.id = r.id", "update", "sessions"),
            ("UPDATE businesses AS b SET name = $1 RETURNING b.name", "update", "businesses"),
            ("DELETE FROM tickets WHERE (jti) IN (SELECT jti FROM users LIMIT $2)", "delete", "tickets"),
            // The table with what is read, not the rows that say which of it.
            ("SELECT m.sku FROM {rows} JOIN menu_items m ON m.sku = r.sku", "select", "menu_items"),
            ("SELECT b.id FROM members m JOIN businesses b ON b.id = m.business_id", "select", "members"),
            ("SELECT s.seq FROM hub h LEFT JOIN room_seq s ON s.room = $1", "select", "hub"),
            ("SELECT id FROM businesses WHERE id = $1 FOR NO KEY UPDATE", "select", "businesses"),
            // What is inside of parentheses comes second.
            ("SELECT (SELECT u.role FROM users u) AS role FROM sessions s", "select", "sessions"),
            ("SELECT (SELECT count(*) FROM users), (SELECT role FROM members)", "select", "users"),
            ("WITH o AS (SELECT id FROM orders) UPDATE order_acks SET at = 1 FROM o", "update", "order_acks"),
            ("WITH o AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM o", "select", "orders"),
            ("WITH RECURSIVE n(i) AS (SELECT 1), o AS (SELECT 2) DELETE FROM hub", "delete", "hub"),
            // A text is no SQL.
            ("SELECT 'it''s ( FROM users' AS delete_ FROM orders", "select", "orders"),
            ("SELECT CAST(1 AS BIGINT) AS one", "select", "none"),
            ("PRAGMA analysis_limit = 400", "other", "none"),
            ("ANALYZE", "other", "none"),
            ("SELECT r.id FROM {rows}", "select", "other"),
            ("SELECT 1 FROM orders; DROP TABLE orders", "select", "orders"),
            ("DELETE FROM ordersx", "delete", "other"),
        ] {
            assert_eq!(Operation::of(text), Operation { verb, table }, "{text}");
        }
    }

    #[test]
    fn the_tables_are_those_of_the_migrations() {
        let mut created = BTreeSet::new();
        for dialect in ["sqlite", "postgres"] {
            for file in std::fs::read_dir(format!("migrations/{dialect}")).unwrap() {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                let tables = text.lines().filter(|line| line.starts_with("CREATE"));
                let tables = tables.filter_map(|line| Words::of(line.split_once(" TABLE ")?.1).next());
                created.extend(tables.map(|(_, name)| name.to_owned()));
            }
        }
        assert_eq!(created, TABLES.map(str::to_owned).into());
    }

    #[derive(FromRow)]
    struct CountRow {
        #[expect(dead_code, reason = "nobody waits for it")]
        n: i64,
    }

    fn metrics() -> Metrics {
        Metrics::new(&std::env::temp_dir())
    }

    /// How many operations were counted, which is as many as were timed.
    fn counted(metrics: &Metrics, verb: &str, table: &str) -> u64 {
        let timed = metrics.database_query_seconds.with_label_values(&[verb, table]).get_sample_count();
        assert_eq!(metrics.database_operations_total.with_label_values(&[verb, table]).get(), timed);
        timed
    }

    /// Counts for longer than anybody waits here.
    fn endless() -> Statement {
        Statement::new(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000) \
             SELECT count(*) AS n FROM n",
        )
    }

    #[tokio::test]
    async fn what_a_lane_runs_counts_also_when_it_fails_or_is_given_up() {
        let metrics = metrics();
        let link = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut connection =
            Connection::new(Link::Sqlite(Box::new(link), None), metrics.clone(), Duration::from_secs(60));
        connection.execute(&Statement::new("CREATE TABLE hub (epoch INT)"), &[]).await.unwrap();
        connection.execute(&Statement::new("INSERT INTO hub (epoch) VALUES (7)"), &[]).await.unwrap();
        connection.fetch::<CountRow>(&Statement::new("SELECT epoch AS n FROM hub"), &[]).await.unwrap();
        connection.execute(&Statement::new("DELETE FROM users"), &[]).await.unwrap_err();
        let given_up =
            tokio::time::timeout(Duration::ZERO, connection.fetch::<CountRow>(&endless(), &[])).await;
        assert!(given_up.is_err());
        for (verb, table) in [("insert", "hub"), ("select", "hub"), ("delete", "users"), ("select", "other")]
        {
            assert_eq!(counted(&metrics, verb, table), 1, "{verb} {table}");
        }
    }

    #[tokio::test]
    async fn a_read_counts_also_when_it_fails_or_takes_too_long() {
        let metrics = metrics();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reads.sqlite");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let files = Files::open(&file, &options, metrics.clone()).await.unwrap();
        let limits = PoolLimits {
            min: 0,
            max: 1,
            acquire: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(60),
            trusted: Duration::from_secs(60),
        };
        let pool = || {
            let answer = Duration::from_secs(60);
            let connector = Connector::Sqlite {
                options: Box::new(options.clone()),
                files: files.clone(),
                answer,
                statement: None,
            };
            Pool::new(connector, limits, metrics.clone())
        };
        let patient = Reading::new("patient", pool(), Duration::from_secs(60), metrics.clone());
        patient.ping().await.unwrap();
        patient.fetch::<CountRow>(&Statement::new("SELECT n FROM users"), &[]).await.err().unwrap();
        let hasty = Reading::new("hasty", pool(), Duration::from_millis(1), metrics.clone());
        hasty.fetch::<CountRow>(&endless(), &[]).await.err().unwrap();
        for (verb, table) in [("select", "none"), ("select", "users"), ("select", "other")] {
            assert_eq!(counted(&metrics, verb, table), 1, "{verb} {table}");
        }
    }
}
