//! A database and a network before it that fail at the worst moment: what was promised is kept, and it goes on by
//! itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::scenario::{Scenario, an_order_each, order_until_placed, settled, text};
use crate::support::{CommitFault, Device, NetworkFault, TestApp};

/// 200 orders of 20 customers while every COMMIT that carries work fails.
async fn two_hundred_orders_while_commits_are(fault: CommitFault) {
    // One lane, so that the COMMIT that asks again is always the next one.
    let (proxy, app) = TestApp::start_behind_proxy(&[("database.lanes", "1")]).await;
    let scenario = Scenario::new(&app, 4, 20).await;
    proxy.fail_every_other_commit(fault);
    let began = Instant::now();
    let placed = join_all((0..scenario.customers.len()).map(|customer| {
        let (app, scenario) = (&app, &scenario);
        async move {
            let mut placed = Vec::new();
            for n in 0..10 {
                let answer = scenario.order(app, customer, &format!("{customer}-{n}")).await.expect(201);
                placed.push(text(&answer.json(), "id"));
            }
            placed
        }
    }))
    .await
    .concat();
    let took = began.elapsed();
    let count = proxy.let_commits_pass();
    let acknowledged: HashSet<String> = placed.iter().cloned().collect();
    assert_eq!((placed.len(), acknowledged.len()), (200, 200));
    assert!(count >= 10, "each round of orders needs a COMMIT at least: {count}");
    let told = Instant::now();
    assert_eq!(scenario.settle(&app).await, acknowledged);
    eprintln!("{fault:?}: {count} COMMITs; 200 orders in {took:?}, all events {:?} later", told.elapsed());
}

#[tokio::test]
async fn a_commit_whose_answer_is_eaten_happens_once_and_its_callers_hear_so() {
    two_hundred_orders_while_commits_are(CommitFault::AnswerLost).await;
}

#[tokio::test]
async fn a_commit_that_never_arrives_happens_once_and_its_callers_hear_so() {
    two_hundred_orders_while_commits_are(CommitFault::NeverArrives).await;
}

#[tokio::test]
async fn while_postgres_is_stalled_writes_are_refused_in_time_and_afterwards_nothing_is_lost_or_doubled() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let scenario = Scenario::new(&app, 3, 12).await;
    let quiet = scenario.merchant.business(&app).await;
    let mut quiet = Device::of_business(&app, &scenario.merchant, &quiet, None).await;
    let mut placed = an_order_each(&app, &scenario, "before").await;
    proxy.set(NetworkFault::Stalled);
    let began = Instant::now();
    let refused = join_all((0..scenario.customers.len()).map(|customer| {
        let (app, scenario) = (&app, &scenario);
        async move {
            let answer = scenario.order(app, customer, &format!("during-{customer}")).await;
            (answer, began.elapsed())
        }
    }))
    .await;
    let slowest = refused.iter().map(|(_, took)| *took).max().unwrap();
    for (answer, took) in refused {
        let answer = answer.expect(503);
        assert!(answer.headers.contains_key("retry-after"), "{}", answer.text);
        // The deadline of a write is 5 s.
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    quiet.settle().await;
    assert_eq!(app.sessions().open(), scenario.devices.len() + 1, "sockets stay open");
    quiet.close().await;
    proxy.set(NetworkFault::None);
    let fair = Instant::now();
    placed.extend(an_order_each(&app, &scenario, "during").await);
    eprintln!("stalled: the slowest 503 after {slowest:?}; all written {:?} after the stall", fair.elapsed());
    placed.extend(an_order_each(&app, &scenario, "after").await);
    settled(scenario, &app, placed).await;
}

#[tokio::test]
async fn cut_and_refused_for_a_while_writes_resume_by_themselves() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let scenario = Scenario::new(&app, 3, 12).await;
    let mut placed = an_order_each(&app, &scenario, "before").await;
    // Cut in the middle of orders.
    let (during, ()) = tokio::join!(an_order_each(&app, &scenario, "cut"), async { proxy.cut() });
    placed.extend(during);
    proxy.set(NetworkFault::Refusing);
    for attempt in 0..20 {
        let answer = scenario.order(&app, attempt % scenario.customers.len(), "refused").await;
        answer.expect(503);
    }
    assert_eq!(app.sessions().open(), scenario.devices.len(), "sockets stay open");
    proxy.set(NetworkFault::None);
    let fair = Instant::now();
    placed.push(order_until_placed(&app, &scenario, 0, "first").await);
    eprintln!("refused: the first order {:?} after Postgres was back", fair.elapsed());
    placed.extend(an_order_each(&app, &scenario, "after").await);
    settled(scenario, &app, placed).await;
}

#[tokio::test]
async fn connections_that_break_all_at_once_cost_no_read_its_answer() {
    let settings = [("cache.max_bytes", "0"), ("database.max_connections", "3")];
    let (proxy, app) = TestApp::start_behind_proxy(&settings).await;
    let scenario = Scenario::new(&app, 1, 1).await;
    let path = format!("/businesses/{}/menu", scenario.business_of(0));
    for _ in 0..10 {
        let read = || async { scenario.customers[0].get(&app, &path).await.expect(200) };
        // At once, so that each connection was used a moment ago.
        join_all((0..6).map(|_| read())).await;
        proxy.cut();
        join_all((0..6).map(|_| read())).await;
    }
}

#[tokio::test]
async fn a_slow_road_to_postgres_shares_transactions_and_loses_nothing() {
    let (proxy, app) = TestApp::start_behind_proxy(&[]).await;
    let scenario = Scenario::new(&app, 2, 12).await;
    proxy.set(NetworkFault::Slow(Duration::from_millis(5)));
    let mut placed = an_order_each(&app, &scenario, "slow").await;
    proxy.set(NetworkFault::None);
    placed.extend(an_order_each(&app, &scenario, "after").await);
    settled(scenario, &app, placed).await;
}
