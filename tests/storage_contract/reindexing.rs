//! Orders that a version before stored are found, before and after they have come into the index.

use bellhop::domain::order::Draft;
use bellhop::storage::commands::{IndexOrders, Outcome, Write};
use bellhop::storage::{Lane, OrderQuery, OrderScope, PageStart, Total, search_words, sqlite};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::fixtures::{Fixture, place_one, run_one};
use crate::harness::{Place, TestStore, check, cipher, metrics};

async fn found(store: &TestStore, scope: OrderScope, text: &str) -> u64 {
    let words = search_words(text, 8);
    let query =
        OrderQuery { scope, business: None, status: None, words, start: PageStart::Offset(0), limit: 20 };
    let page = store.store.orders(&query).await.unwrap();
    assert_eq!(page.total, Some(Total::Exact(page.orders.len() as u64)), "{text}");
    page.orders.len() as u64
}

async fn check_found(store: &TestStore, world: &Fixture) {
    for scope in
        [OrderScope::Customer(world.customer), OrderScope::Member(world.owner), OrderScope::Everybody]
    {
        for (text, number) in [("zoë", 3), ("ZOE", 3), ("zo 02", 1), ("soup", 4), ("nobody", 0)] {
            assert_eq!(found(store, scope, text).await, number, "{scope:?} {text}");
        }
    }
    assert_eq!(found(store, OrderScope::Member(world.customer), "soup").await, 0);
}

/// Puts all orders into the index, three at a time, and looks for them after each step.
async fn index(store: &TestStore, world: &Fixture, lane: &mut dyn Lane) -> usize {
    let mut steps = 0;
    loop {
        assert_eq!(found(store, OrderScope::Member(world.owner), "zoë").await, 3, "after {steps} steps");
        assert_eq!(found(store, OrderScope::Everybody, "soup kim").await, 1, "after {steps} steps");
        let Outcome::Advanced(step) = run_one(lane, Write::IndexOrders(IndexOrders { limit: 3 })).await
        else {
            panic!("expected how far it came")
        };
        steps += 1;
        if step.last.is_none() {
            return steps;
        }
    }
}

/// Places three orders, makes them what a version before had stored, and checks that they are found all the while.
async fn come_into_the_index(store: &TestStore, make_former: &'static str) {
    let (world, mut lane) = Fixture::new(store).await;
    for _ in 0..3 {
        place_one(&mut *lane, Draft { customer_name: "Zoë".to_owned(), ..world.draft() }).await;
    }
    store.tamper(make_former).await;
    place_one(&mut *lane, Draft { customer_name: "Kim".to_owned(), ..world.draft() }).await;
    assert_eq!(index(store, &world, &mut *lane).await, 3, "four orders, three at a time, and the end");
    assert_eq!(store.peek("SELECT count(*) FROM hub WHERE search_below IS NULL").await, 1);
    if let Place::Sqlite { .. } = store.place {
        assert_eq!(store.peek("SELECT count(*) FROM order_search").await, 4, "each once");
    }
    check_found(store, &world).await;
}

#[tokio::test]
async fn on_postgres_orders_of_before_come_into_the_index_in_steps() {
    check(TestStore::postgres().await, |store| async move {
        come_into_the_index(
            &store,
            "UPDATE orders SET search = array_to_tsvector(ARRAY[lpad(order_number::text, 3, '0'), 'zoë', 'soup', 'pizza', '1']); \
             UPDATE hub SET search_below = '~'",
        )
        .await;
        assert_eq!(store.peek("SELECT count(*) FROM orders WHERE search @@ 'zoë'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn on_sqlite_orders_of_before_come_into_the_index_in_steps() {
    check(TestStore::sqlite().await, |store| async move {
        come_into_the_index(
            &store,
            "INSERT INTO order_search (order_search) VALUES ('delete-all'); UPDATE hub SET search_below = '~'; \
             UPDATE orders SET words = ' ' || lower(hex(order_number)) || ' 7a6fc3ab ' || lower(hex('soup')) || ' ' || lower(hex('pizza')) || ' 31', search_row = NULL",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn on_sqlite_orders_of_the_first_versions_come_into_the_index() {
    check(TestStore::sqlite().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        for _ in 0..3 {
            place_one(&mut *lane, Draft { customer_name: "Zoë".to_owned(), ..world.draft() }).await;
        }
        drop(lane);
        let path = store.sqlite_path();
        // As the version before had it: words in an index of all orders, numbers with zeros before them.
        let mut connection =
            SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        connection
            .execute(
                "DROP TABLE order_search; DROP TABLE devices; DROP INDEX device_acks_by_user; DROP INDEX device_marks_by_user; \
                 DROP INDEX order_acks_by_age; DROP INDEX device_marks_by_age; DROP INDEX orders_by_search_row; \
                 ALTER TABLE orders DROP COLUMN search_row; \
                 ALTER TABLE orders DROP COLUMN words; ALTER TABLE hub DROP COLUMN search_below; \
                 DELETE FROM _sqlx_migrations WHERE version IN (7, 9); \
                 CREATE VIRTUAL TABLE orders_search USING fts5 (order_id UNINDEXED, words, detail = none, tokenize = 'ascii'); \
                 INSERT INTO orders_search (order_id, words) SELECT id, lower(hex(printf('%03d', order_number))) || ' ' \
                     || lower(hex('zoë')) || ' ' || lower(hex('soup')) || ' ' || lower(hex('pizza')) || ' ' || lower(hex('1')) \
                 FROM orders",
            )
            .await
            .unwrap();
        connection.close().await.unwrap();
        let again = sqlite::connect(&path, cipher(), metrics()).await.unwrap();
        again.migrate().await.unwrap();
        again.close().await;
        // And new ones beside them.
        let mut lane = store.lane().await;
        place_one(&mut *lane, Draft { customer_name: "Kim".to_owned(), ..world.draft() }).await;
        assert_eq!(index(&store, &world, &mut *lane).await, 3);
        assert_eq!(found(&store, OrderScope::Customer(world.customer), "ZOE").await, 3);
        assert_eq!(found(&store, OrderScope::Member(world.owner), "soup").await, 4);
        assert_eq!(found(&store, OrderScope::Member(world.owner), "4").await, 1);
    })
    .await;
}
