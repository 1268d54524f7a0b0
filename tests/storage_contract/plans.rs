//! What a server makes of the statements while tables grow.

use std::time::Duration;

use bellhop::domain::order::Status;

use crate::fixtures::{World, move_to, place_once, placed, run_one};
use crate::harness::{TestStore, check};

const SCANS: &str = "SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname IN \
     ('orders', 'order_items', 'order_events', 'order_counters', 'idempotency_keys', 'room_seq', 'room_events', \
      'notifications', 'commands')";

/// After five runs a server keeps a statement's plan, made from what it knew then: that the tables are empty.
#[tokio::test]
async fn on_postgres_writes_that_were_planned_for_empty_tables_find_their_rows_by_key() {
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = World::new(&store).await;
        let before = store.peek(SCANS).await;
        for n in 0..12 {
            let order = placed(&run_one(&mut *lane, place_once(world.draft(), &format!("k{n}"), "m")).await);
            run_one(&mut *lane, move_to(&order, Status::Accepted)).await;
        }
        // A connection tells its counts when it ends.
        drop(lane);
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let told = async {
            while store.peek("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'orders'").await < 12
            {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect("the counts are told");
        assert_eq!(store.peek(SCANS).await, before);
    })
    .await;
}
