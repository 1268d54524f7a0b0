//! The demo plays to its end on both stores and finds nothing lost, nothing doubled and nothing stuck, and every cent where it belongs.
#![allow(clippy::expect_used)]

#[allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]
#[path = "support/database.rs"]
mod database;

use std::time::Duration;

use bellhop::demo::{self, Options, RunReport};
use database::{Database, StoreKind};

/// The business that ignores its bell.
const DEAF: &str = "Trattoria Nonna Pia";

fn options(seed: u64) -> Options {
    Options {
        run_for: Some(Duration::from_secs(3)),
        port: 0,
        orders_per_second: 20,
        businesses: 4,
        seed: Some(seed),
        ..Options::default()
    }
}

async fn play(options: Options) {
    let verdict = demo::run(options).await.expect("the demo runs");
    let faults = [verdict.lost, verdict.doubled, verdict.missed, verdict.stuck];
    assert_eq!(faults, [0; 4], "{verdict}");
    assert!(verdict.placed > 0 && verdict.completed == verdict.placed, "{verdict}");
    let placed = verdict.placed - verdict.never_placed;
    assert_eq!((verdict.rung, verdict.acked), (placed, placed), "{verdict}");
    money_is_where_it_belongs(&verdict);
    assert_eq!((verdict.refused, &verdict.odd), (0, &(0, None)), "{verdict}");
    assert!(verdict.commit_to_ack.is_some() && verdict.is_good(), "{verdict}");
    nobody_answers_one_and_the_hub_another(&verdict);
}

fn money_is_where_it_belongs(verdict: &RunReport) {
    let money = verdict.money;
    assert!(money.online > 0 && verdict.never_placed > 0, "{verdict}");
    assert!(money.captured_minor > 0 && money.refunded_minor > 0 && money.owed_minor > 0, "{verdict}");
    assert_eq!(money.captured_minor - money.refunded_minor - money.owed_minor, 0, "{verdict}");
    assert_eq!((money.wrong, money.uncollected), (0, 0), "{verdict}");
}

fn nobody_answers_one_and_the_hub_another(verdict: &RunReport) {
    assert!(verdict.unanswered > 0 && verdict.escalated > 0, "{verdict}");
    assert!(verdict.rung_again.0 >= verdict.unanswered, "{verdict}");
    assert!(verdict.rung_again.1 >= verdict.rung_again.0, "{verdict}");
    assert_eq!(
        (verdict.paused_and_resumed, verdict.paused_at_end.as_slice()),
        ((1, 0), &[DEAF.to_owned()][..])
    );
    assert!(verdict.accepted_by_itself > 0 && verdict.time_to_answer.is_some(), "{verdict}");
}

#[test]
fn a_short_demo_loses_and_doubles_nothing_and_pauses_who_never_answers() {
    actix_rt::System::new().block_on(play(options(7)));
}

/// One business more has drivers bring its orders, and none of those stays open.
async fn play_with_drivers(options: Options) {
    let verdict =
        demo::run(Options { businesses: 5, orders_per_second: 12, ..options }).await.expect("it runs");
    let deliveries = verdict.deliveries;
    assert!(deliveries.delivered > 0 && deliveries.offers > 0, "{verdict}");
    assert_eq!((deliveries.open, deliveries.delivered + deliveries.ended_otherwise), (0, deliveries.orders));
    assert_eq!((verdict.refused, &verdict.odd), (0, &(0, None)), "{verdict}");
    assert!(deliveries.time_to_assign.is_some() && verdict.is_good(), "{verdict}");
}

#[test]
fn every_order_that_drivers_bring_in_a_demo_comes_to_its_end_on_both_stores() {
    actix_rt::System::new().block_on(async {
        play_with_drivers(options(7)).await;
        let database = Database::create(StoreKind::Postgres).await;
        let url = database.postgres.as_ref().map(|postgres| postgres.url.clone().into());
        play_with_drivers(Options { database: url, ..options(8) }).await;
    });
}

#[test]
fn a_demo_on_two_nodes_loses_and_doubles_nothing_and_both_take_orders() {
    actix_rt::System::new().block_on(async {
        let database = Database::create(StoreKind::Postgres).await;
        let url = database.postgres.as_ref().map(|postgres| postgres.url.clone().into());
        let verdict =
            demo::run(Options { database: url, nodes: 2, ..options(9) }).await.expect("the demo runs");
        assert!(verdict.is_good() && verdict.odd == (0, None), "{verdict}");
        let by_node = &verdict.taken_by_node;
        assert!(by_node.len() == 2 && by_node.iter().all(|taken| *taken > 0), "{verdict}");
        assert!(by_node.iter().sum::<u64>() >= verdict.placed, "{verdict}");
    });
}

#[test]
fn a_demo_on_postgres_does_so_too_and_again_on_what_it_left() {
    actix_rt::System::new().block_on(async {
        let database = Database::create(StoreKind::Postgres).await;
        let url = || database.postgres.as_ref().map(|postgres| postgres.url.clone().into());
        play(Options { database: url(), ..options(7) }).await;
        play(Options { database: url(), ..options(8) }).await;
    });
}
