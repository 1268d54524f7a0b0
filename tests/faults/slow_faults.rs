//! What takes minutes or a Postgres that may be restarted: `scripts/faults` runs it.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::outage::an_outage_of;
use crate::scenario::{Scenario, order_until_placed, settled, text};
use crate::support::{NetworkFault, StoreKind, TestApp};

/// How long Postgres is silent.
const STALL: Duration = Duration::from_secs(60);

/// Orders, and when each was acknowledged.
type Placed = Vec<(String, Instant)>;

/// Every customer orders without a pause until it is over.
async fn orders_until(app: &TestApp, scenario: &Scenario, over: &AtomicBool) -> Placed {
    let customers = (0..scenario.customers.len()).map(|customer| async move {
        let mut placed = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let key = format!("{customer}-{}", placed.len());
            placed.push((order_until_placed(app, scenario, customer, &key).await, Instant::now()));
        }
        placed
    });
    join_all(customers).await.concat()
}

/// Restarts the Postgres of the tests and returns when it answers again. Immediately means without a clean end.
async fn restart_postgres(mode: &str) {
    let command =
        std::env::var("BELLHOP_FAULTS_RESTART").expect("scripts/faults says how to restart Postgres");
    let mut command = std::process::Command::new(command);
    command.arg(mode).stdin(Stdio::null());
    let restarted = tokio::task::spawn_blocking(move || command.status()).await.unwrap();
    assert!(restarted.unwrap().success());
}

#[tokio::test]
#[ignore = "restarts the Postgres that all tests share"]
async fn writes_resume_by_themselves_within_five_seconds_of_a_restart_of_postgres() {
    let app = TestApp::start_with(StoreKind::Postgres, &[]).await;
    let scenario = Scenario::new(&app, 4, 16).await;
    let over = AtomicBool::new(false);
    let restarts = async {
        let mut resumed = Vec::new();
        for mode in ["fast", "immediate"] {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let before = Instant::now();
            restart_postgres(mode).await;
            resumed.push((mode, before, Instant::now()));
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(app.sessions().open(), scenario.devices.len(), "sockets stay open");
        over.store(true, Ordering::Relaxed);
        resumed
    };
    let (placed, restarts) = tokio::join!(orders_until(&app, &scenario, &over), restarts);
    for (mode, before, answers) in restarts {
        let first = placed.iter().map(|(_, at)| *at).filter(|at| *at > answers).min().unwrap();
        let (away, resumed) = (answers - before, first - answers);
        eprintln!("restart ({mode}): away for {away:?}, the first order {resumed:?} after it answered again");
        assert!(resumed < Duration::from_secs(5), "{resumed:?}");
    }
    eprintln!("{} orders acknowledged", placed.len());
    settled(scenario, &app, placed.into_iter().map(|(order, _)| order).collect()).await;
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn a_minute_without_a_word_from_postgres_costs_refusals_and_nothing_else() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let scenario = Scenario::new(&app, 4, 16).await;
    let before = scenario.order(&app, 0, "before").await.expect(201);
    proxy.set(NetworkFault::Stalled);
    let began = Instant::now();
    let refusals = join_all((0..scenario.customers.len()).map(|customer| {
        let (app, scenario) = (&app, &scenario);
        async move {
            let mut waits = Vec::new();
            while began.elapsed() < STALL {
                let asked = Instant::now();
                scenario.order(app, customer, &format!("during-{customer}")).await.expect(503);
                waits.push(asked.elapsed());
            }
            waits
        }
    }))
    .await
    .concat();
    let slowest = refusals.iter().max().unwrap();
    assert_eq!(app.sessions().open(), scenario.devices.len(), "sockets stay open");
    proxy.set(NetworkFault::None);
    let fair = Instant::now();
    let mut placed = vec![text(&before.json(), "id")];
    placed.push(order_until_placed(&app, &scenario, 0, "during-0").await);
    let resumed = fair.elapsed();
    for customer in 1..scenario.customers.len() {
        placed.push(order_until_placed(&app, &scenario, customer, &format!("during-{customer}")).await);
    }
    eprintln!(
        "stalled for {STALL:?}: {} refusals, the slowest after {slowest:?}; the first order {resumed:?} after it",
        refusals.len()
    );
    assert!(*slowest < Duration::from_secs(6), "{slowest:?}");
    assert!(resumed < Duration::from_secs(5), "{resumed:?}");
    settled(scenario, &app, placed).await;
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn for_a_minute_copies_answer_marked_stale_and_sockets_stay_and_get_what_follows() {
    // The time-outs are those of the defaults; copies are soon past their time.
    let settings = [("cache.order_s", "1"), ("cache.business_s", "1")];
    let (proxy, app) = TestApp::start_behind_proxy(&settings).await;
    an_outage_of(STALL, &proxy, &app).await;
}
