//! Connections to the database that fall silent for ever, as after a failover that nobody tells of, and sessions that are not
//! told what they were to be told.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::scenario::{Scenario, text, until_placed};
use crate::support::{Answer, PASSWORD, StoreKind, TestApp};

/// Everything works again within this.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// The same on a slow machine that runs other tests meanwhile.
const BACK_WITHIN_HERE: Duration = BACK_WITHIN.saturating_add(Duration::from_secs(15));

const READERS: usize = 30;

/// The value of a gauge on `/metrics`.
async fn gauge(app: &TestApp, name: &str) -> f64 {
    let text = Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn after_connections_fell_silent_reads_sign_ins_and_writes_are_back_within_ten_seconds() {
    let (proxy, app) = TestApp::start_behind_proxy(&[("cache.max_bytes", "0")]).await;
    let scenario = Scenario::new(&app, 1, 1).await;
    let path = format!("/businesses/{}/menu", scenario.business_of(0));
    let read = || async { scenario.customers[0].get(&app, &path).await };
    join_all((0..READERS).map(|_| read())).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let silent: OnceLock<Instant> = OnceLock::new();
    // Each reads without a pause, before, while and after; and is well when it is answered what it asked afterwards.
    let readers = join_all((0..READERS).map(|_| async {
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = read().await;
            answered.fetch_add(1, Ordering::Relaxed);
            if let Some(silent) = silent.get()
                && asked > *silent
                && answer.status == 200
            {
                return silent.elapsed();
            }
        }
        panic!("a reader is never answered again")
    }));
    let others = async {
        let mut polls = tokio::time::interval(Duration::from_millis(5));
        while answered.load(Ordering::Relaxed) < 10 * READERS {
            polls.tick().await;
        }
        proxy.swallow_open_connections();
        silent.set(Instant::now()).unwrap();
        let order = until_placed(async || scenario.order(&app, 0, "during").await);
        let sign_in = async {
            let body = serde_json::json!({"email": scenario.customers[0].email, "password": PASSWORD});
            let ask = || Answer::of(app.http.post(app.url("/api/v1/auth/login")).json(&body));
            while ask().await.status != 200 {}
        };
        tokio::join!(order, sign_in);
        silent.get().unwrap().elapsed()
    };
    let all = async { tokio::join!(readers, others) };
    let patience = tokio::time::timeout(2 * BACK_WITHIN_HERE, all).await;
    over.store(true, Ordering::Relaxed);
    let (reads, writes) = patience.expect("everything comes back");
    let slowest = reads.into_iter().max().unwrap();
    eprintln!("silent for ever: all reads back after {slowest:?}, a sign-in and an order after {writes:?}");
    assert!(slowest < BACK_WITHIN_HERE && writes < BACK_WITHIN_HERE, "{slowest:?} {writes:?}");
    // The pool is whole: every place can be used, and is free afterwards.
    for _ in 0..3 {
        join_all((0..READERS).map(|_| read())).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    }
    let whole = async {
        let mut polls = tokio::time::interval(Duration::from_millis(20));
        while gauge(&app, "database_pool_connections{state=\"used\"}").await > 0.0 {
            polls.tick().await;
        }
    };
    tokio::time::timeout(BACK_WITHIN_HERE, whole).await.expect("no place is lost");
    assert!(gauge(&app, "database_pool_connections{state=\"idle\"}").await <= 20.0);
}

#[tokio::test]
async fn a_reader_that_goes_away_in_the_middle_of_a_read_leaves_the_pool_whole() {
    let settings = [("cache.max_bytes", "0"), ("database.max_connections", "2")];
    let app = TestApp::start_with(StoreKind::Postgres, &settings).await;
    let scenario = Scenario::new(&app, 1, 1).await;
    let path = format!("/businesses/{}/menu", scenario.business_of(0));
    let mut holder = PgConnection::connect(app.postgres_url().unwrap()).await.unwrap();
    for _ in 0..3 {
        holder.execute("BEGIN; LOCK TABLE menu_items IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let hasty = || async {
            let read = scenario.customers[0].get(&app, &path);
            assert!(tokio::time::timeout(Duration::from_millis(100), read).await.is_err());
        };
        join_all((0..4).map(|_| hasty())).await;
        holder.execute("ROLLBACK").await.unwrap();
        join_all((0..4).map(|_| async { scenario.customers[0].get(&app, &path).await.expect(200) })).await;
    }
}

#[tokio::test]
async fn sessions_have_their_settings_though_start_up_options_do_not_pass_and_the_database_says_otherwise() {
    let (proxy, mut app) = TestApp::start_behind_proxy(&[]).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    app.stop();
    let mut behind = PgConnection::connect(app.postgres_url().unwrap()).await.unwrap();
    let others = "DO $$ BEGIN \
         EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); \
         EXECUTE format('ALTER DATABASE %I SET jit = on', current_database()); \
         EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); \
         END $$; \
         CREATE TABLE seen (name text, setting text); \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO seen SELECT name, setting FROM pg_settings; RETURN NEW; END $$; \
         CREATE TRIGGER see AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION see()";
    behind.execute(others).await.unwrap();
    proxy.strip_options();
    app.start_again().await;
    let order = customer.order(&app, &business).await;
    assert!(!text(&order, "id").is_empty());
    for (name, wanted) in [
        ("synchronous_commit", "on"),
        ("statement_timeout", "2000"),
        ("lock_timeout", "1500"),
        ("idle_in_transaction_session_timeout", "10000"),
        ("default_transaction_isolation", "read committed"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ] {
        let seen: String = sqlx::query_scalar("SELECT setting FROM seen WHERE name = $1")
            .bind(name)
            .fetch_one(&mut behind)
            .await
            .unwrap();
        assert_eq!(seen, wanted, "{name}");
    }
}

#[tokio::test]
async fn the_pool_keeps_as_many_connections_as_was_said_though_nobody_reads() {
    let app = TestApp::start_with(StoreKind::Postgres, &[("database.min_connections", "3")]).await;
    let kept = async {
        let mut polls = tokio::time::interval(Duration::from_millis(50));
        while gauge(&app, "database_pool_connections{state=\"idle\"}").await < 3.0 {
            polls.tick().await;
        }
    };
    tokio::time::timeout(BACK_WITHIN_HERE, kept).await.expect("they are made");
}
