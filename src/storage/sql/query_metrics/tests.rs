use std::collections::BTreeSet;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection as _, SqliteConnection};
use sqlx_macros::FromRow;

use super::*;
use crate::storage::sql::connection::{Connection, DriverConnection};
use crate::storage::sql::connector::Connector;
use crate::storage::sql::pool::{Pool, PoolLimits};
use crate::storage::sql::read_pool::ReadPool;
use crate::storage::sql::sqlite::files::Files;
use crate::storage::sql::statement::Statement;

#[test]
#[should_panic(expected = "names its verb and table")]
fn a_statement_that_does_not_name_its_table_is_found() {
    Statement::new(Operation::Select("users"), "SELECT id FROM orders");
}

#[test]
#[should_panic(expected = "names its verb and table")]
fn a_label_is_never_another_word_than_a_table() {
    Statement::new(Operation::Select("ordersx"), "SELECT id FROM ordersx");
}

#[test]
fn the_tables_are_those_of_the_migrations() {
    let mut created = BTreeSet::new();
    for dialect in ["sqlite", "postgres"] {
        for file in std::fs::read_dir(format!("migrations/{dialect}")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let tables = text.lines().filter(|line| line.starts_with("CREATE"));
            let tables = tables.filter_map(|line| line.split_once(" TABLE "));
            let names = tables.map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
            created.extend(names.flatten().map(str::to_owned));
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
        Operation::Select("sessions"),
        "WITH RECURSIVE sessions(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM sessions WHERE i < 10000000) \
         SELECT count(*) AS n FROM sessions",
    )
}

#[tokio::test]
async fn what_a_lane_runs_counts_also_when_it_fails_or_is_given_up() {
    let metrics = metrics();
    let driver = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let mut connection = Connection::new(
        DriverConnection::Sqlite(Box::new(driver), None),
        metrics.clone(),
        Duration::from_secs(60),
    );
    connection.execute(&Statement::new(Operation::Other, "CREATE TABLE hub (epoch INT)"), &[]).await.unwrap();
    connection
        .execute(&Statement::new(Operation::Insert("hub"), "INSERT INTO hub (epoch) VALUES (7)"), &[])
        .await
        .unwrap();
    connection
        .fetch::<CountRow>(&Statement::new(Operation::Select("hub"), "SELECT epoch AS n FROM hub"), &[])
        .await
        .unwrap();
    connection
        .execute(&Statement::new(Operation::Delete("users"), "DELETE FROM users"), &[])
        .await
        .unwrap_err();
    let given_up = tokio::time::timeout(Duration::ZERO, connection.fetch::<CountRow>(&endless(), &[])).await;
    assert!(given_up.is_err());
    for (verb, table) in [("insert", "hub"), ("select", "hub"), ("delete", "users"), ("select", "sessions")] {
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
    let patient = ReadPool::new("patient", pool(), Duration::from_secs(60), metrics.clone());
    patient.ping().await.unwrap();
    patient
        .fetch::<CountRow>(&Statement::new(Operation::Select("users"), "SELECT n FROM users"), &[])
        .await
        .err()
        .unwrap();
    let hasty = ReadPool::new("hasty", pool(), Duration::from_millis(1), metrics.clone());
    hasty.fetch::<CountRow>(&endless(), &[]).await.err().unwrap();
    for (verb, table) in [("select", "none"), ("select", "users"), ("select", "sessions")] {
        assert_eq!(counted(&metrics, verb, table), 1, "{verb} {table}");
    }
}
