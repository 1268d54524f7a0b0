//! What a server reads for statements that it planned when the tables were small, once they have grown.

use std::time::Duration;

use bellhop::domain::access::Role;
use bellhop::domain::order::Status;
use bellhop::domain::room::RoomId;
use bellhop::storage::Lane;
use bellhop::storage::commands::{AckScope, DeviceAck, FireDeadline, ScopedAck, Write};

use crate::fixtures::{Fixture, move_to, now, place_once, placed, run, run_one};
use crate::harness::{TestStore, check};

/// As often as a server plans a statement anew before it keeps a plan, and some more.
const UNTIL_PLANS_ARE_KEPT: usize = 12;

/// Rounds once the tables have grown.
const ROUNDS: usize = 3;

/// Adds 5,000 copies to each table that grows with the orders.
const GROW: &str = "DO $$ DECLARE t record; BEGIN \
     FOR t IN SELECT * FROM (VALUES \
         ('orders', '''id'', (x).id || n, ''order_number'', (x).order_number + 10000 + n'), \
         ('order_items', '''order_id'', (x).order_id || n'), \
         ('order_events', '''order_id'', (x).order_id || n'), \
         ('order_sagas', '''order_id'', (x).order_id || n'), \
         ('order_acks', '''order_id'', (x).order_id || n'), \
         ('idempotency_keys', '''key'', (x).key || n'), \
         ('commands', '''id'', (x).id || n'), \
         ('room_seq', '''room'', (x).room || n'), \
         ('room_events', '''room'', (x).room || n'), \
         ('device_acks', '''room'', (x).room || n')) AS named (name, changed) \
     LOOP EXECUTE format('INSERT INTO %I SELECT (jsonb_populate_record(x, jsonb_build_object(%s))).* \
         FROM (SELECT one AS x FROM %I one LIMIT 1) o, generate_series(1, 5000) n', t.name, t.changed, t.name); \
     END LOOP; END $$";

/// Indexes of which more entries were read since `reads_before` than three rounds need: that of a whole table is thousands.
const MUCH_READ: &str = "SELECT i.indexrelname || ': ' || i.idx_tup_read - b.idx_tup_read FROM pg_stat_user_indexes i \
     JOIN reads_before b ON b.indexrelid = i.indexrelid WHERE i.idx_tup_read - b.idx_tup_read > 1000";

async fn place_ring_acknowledge_accept(
    store: &TestStore,
    world: &Fixture,
    lane: &mut dyn Lane,
    key: &str,
    rounds: usize,
) {
    let room = RoomId::Business(world.business.id);
    for n in 0..rounds {
        let committed = run(lane, vec![place_once(world.draft(), &format!("{key}{n}"), "m")]).await;
        let (order, due) = (placed(&committed.outcomes[0]), committed.sagas[0]);
        let cursor = committed.events.iter().find(|event| event.room == room).unwrap().cursor;
        let ack = DeviceAck { room, device: "till".to_owned(), user: world.owner, cursor, at: now() };
        let ack = ScopedAck { ack, reach: AckScope::After(0), role: Role::Merchant };
        run_one(lane, Write::StoreAcks([ack].into())).await;
        store.store.clock().advance(Duration::from_secs(5));
        let fire = FireDeadline { order: due.order, business: due.business, attempt: due.attempt };
        run_one(lane, Write::FireDeadline(fire)).await;
        run_one(lane, move_to(&order, Status::Accepted)).await;
    }
}

/// Waits until no connection is left that this condition is true of: it has told its counts by then.
async fn ended(store: &TestStore, of_others: &'static str) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let none = async {
        while store.peek(of_others).await > 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), none).await.expect("connections end");
}

/// Keeps plans after `rounds` rounds on tables whose statistics say so, and then counts what they read in grown tables.
async fn check_that_little_is_read(rounds: usize, statistics: &'static str) {
    check(TestStore::postgres().await, async move |store| {
        let (world, mut lane) = Fixture::new(&store).await;
        place_ring_acknowledge_accept(&store, &world, &mut *lane, "before", rounds).await;
        store.tamper(statistics).await;
        place_ring_acknowledge_accept(&store, &world, &mut *lane, "kept", UNTIL_PLANS_ARE_KEPT).await;
        store.tamper(GROW).await;
        ended(
            &store,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DO %'",
        )
        .await;
        store.tamper("CREATE TABLE reads_before AS SELECT indexrelid, idx_tup_read FROM pg_stat_user_indexes").await;
        place_ring_acknowledge_accept(&store, &world, &mut *lane, "after", ROUNDS).await;
        drop(lane);
        store.store.close().await;
        ended(
            &store,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bellhop'",
        )
        .await;
        assert_eq!(store.texts(MUCH_READ).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn on_postgres_a_plan_for_tables_without_statistics_reads_by_key_when_they_have_grown() {
    check_that_little_is_read(0, "SELECT 1").await;
}

#[tokio::test]
async fn on_postgres_a_plan_for_tables_of_a_few_rows_reads_by_key_when_they_have_grown() {
    check_that_little_is_read(5, "ANALYZE").await;
}
