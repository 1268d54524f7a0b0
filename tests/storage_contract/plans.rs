//! What a server makes of the statements while tables grow.

use std::time::Duration;

use bellhop::domain::access::MemberRole;
use bellhop::domain::ids::{DeadLetterId, LoginSessionId, OrderId, RefundId};
use bellhop::domain::order::{Draft, Status};
use bellhop::domain::payment::RefundState;
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{FireDeadline, PutMember, Write};
use bellhop::storage::{Checkpoint, OrderQuery, OrderScope, PageStart, Total};

use crate::fixtures::{Fixture, move_to, place, place_once, placed, run, run_one, world};
use crate::harness::{Place, TestStore, check};

const SCANS: &str = "SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname IN \
     ('orders', 'order_items', 'order_events', 'order_counters', 'idempotency_keys', 'room_seq', 'room_events', \
      'notifications', 'commands', 'order_sagas', 'intents', 'businesses', 'order_acks', 'device_marks')";

/// After five runs a server keeps a statement's plan, made from what it knew then: that the tables are empty.
#[tokio::test]
async fn on_postgres_writes_that_were_planned_for_empty_tables_find_their_rows_by_key() {
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        let before = store.peek(SCANS).await;
        for n in 0..12 {
            let committed = run(&mut *lane, vec![place_once(world.draft(), &format!("k{n}"), "m")]).await;
            let (order, due) = (placed(&committed.outcomes[0]), committed.sagas[0]);
            store.store.clock().advance(Duration::from_secs(5));
            let fire = FireDeadline { order: due.order, business: due.business, attempt: due.attempt };
            run_one(&mut *lane, Write::FireDeadline(fire)).await;
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

/// Servers tell what was scanned when a connection ends.
const ALL_SCANS: &str =
    "SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname <> 'hub'";

#[tokio::test]
async fn on_postgres_everything_that_is_read_is_found_by_an_index() {
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = placed(&run_one(&mut *lane, place(world.draft())).await);
        drop(lane);
        store.tamper("ANALYZE").await;
        store.store.close().await;
        let settled = async || {
            let open = "SELECT count(*) FROM pg_stat_activity \
                        WHERE datname = current_database() AND application_name = 'bellhop'";
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while store.peek(open).await > 0 {
                looks.tick().await;
            }
            store.peek(ALL_SCANS).await
        };
        let before = settled().await;
        let again = store.again().await;
        let (business, owner, room) = (world.business.id, world.owner, RoomId::Business(world.business.id));
        again.user(owner).await.unwrap();
        again.user_by_email("nobody@example.test").await.unwrap();
        again.sessions_of(owner, Timestamp::now(), 10).await.unwrap();
        again.sessions_ended_since(Timestamp::now()).await.unwrap();
        again.session_owner(LoginSessionId::generate()).await.unwrap();
        again.stored_response("scope", "key").await.unwrap();
        again.business(business).await.unwrap();
        again.businesses(None, 10).await.unwrap();
        again.businesses_of(owner, None, 10).await.unwrap();
        again.membership(business, owner).await.unwrap();
        again.members(business).await.unwrap();
        again.menu(business).await.unwrap();
        let notifications = again.notifications(business, None, 10).await.unwrap();
        let ids: Vec<_> = notifications.iter().map(|notification| notification.id).collect();
        again.notification_reads(owner, &ids).await.unwrap();
        again.order(order.id).await.unwrap();
        again.timeline(order.id).await.unwrap();
        again.business_stats(business, Timestamp::default()).await.unwrap();
        again.heads(&[room]).await.unwrap();
        again.events_after(room, 0, 10).await.unwrap();
        again.device_ack(room, "till").await.unwrap();
        let now = again.clock().now();
        again.due_sagas(now, None, 10).await.unwrap();
        again.next_saga_due(now).await.unwrap();
        again.due_intents(now, 10).await.unwrap();
        again.money_of(order.id).await.unwrap();
        again.due_messages(now, 10).await.unwrap();
        again.payments_to_ask(now, 10).await.unwrap();
        again.due_refunds(now, 10).await.unwrap();
        again.late_refunds(now, 10).await.unwrap();
        again.refund(RefundId::generate()).await.unwrap();
        again.refunds(None, None, 10).await.unwrap();
        again.refunds(Some(RefundState::Failed), None, 10).await.unwrap();
        again.dead_letters(None, None, 10).await.unwrap();
        again.dead_letter(DeadLetterId::generate()).await.unwrap();
        again.open_dead_letters().await.unwrap();
        again.close().await;
        assert_eq!(settled().await, before);
    })
    .await;
}

/// Copies of the one order there is.
const COPIES: i64 = 30_000;

/// In the middle of a week, so that the copies are of the same one.
const SOME_TIME: i64 = 1_700_000_000_000_000;

async fn multiply(store: &TestStore) {
    let sql = match &store.place {
        Place::Postgres { .. } => {
            "INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, fulfilment, status, \
                 payment_method, payment_status, total_minor, currency, version, created_at, updated_at, search) \
             SELECT 'ord_' || lpad(to_hex(n), 32, '0'), n, business_id, customer_id, customer_name, fulfilment, \
                 CASE WHEN n % 2 = 0 THEN status ELSE 'delivered' END, payment_method, payment_status, total_minor, currency, \
                 1, created_at - n, updated_at, search FROM orders, generate_series(1, 30000) n; ANALYZE"
        }
        Place::Sqlite { .. } => {
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30000) \
             INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, fulfilment, status, \
                 payment_method, payment_status, total_minor, currency, version, created_at, updated_at, words) \
             SELECT printf('ord_%032x', n), n, business_id, customer_id, customer_name, fulfilment, \
                 CASE WHEN n % 2 = 0 THEN status ELSE 'delivered' END, payment_method, payment_status, total_minor, currency, \
                 1, created_at - n, updated_at, words FROM orders, c; \
             UPDATE orders SET search_row = order_number + 1000 WHERE id LIKE 'ord_000000%'; \
             INSERT INTO order_search (rowid, words) SELECT o.search_row, (\
                 SELECT group_concat('z' || substr(o.business_id, -10) || o.weeks || t.value || ' y' || o.week || t.value, ' ') \
                 FROM json_each('[\"' || replace(trim(o.words), ' ', '\",\"') || '\"]') t) \
             FROM (SELECT *, printf('%04x', created_at / 604800000000) AS week, \
                 printf('%04x', created_at / 2419200000000) AS weeks FROM orders WHERE id LIKE 'ord_000000%') o; ANALYZE"
        }
    };
    store.tamper(sql).await;
}

fn number(step: &str, name: &str) -> Option<u64> {
    let digits = step.split_once(name)?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The rows that a step of a plan of Postgres has had, each time it was done.
fn rows_of(step: &str) -> Option<u64> {
    Some(number(step, "rows=")? * number(step, "loops=")?)
}

/// What a plan may not say, and how many rows a step of it may have.
fn check_plan(store: &TestStore, plan: &str, most: u64) {
    let (statement, steps) = plan.split_once('\n').unwrap();
    for step in steps.lines() {
        match &store.place {
            Place::Postgres { .. } => {
                assert!(!step.contains("Seq Scan"), "{plan}");
                // Only what was found in the text index is sorted.
                assert!(!step.trim_start().starts_with("->  Sort") || statement.contains("hits"), "{plan}");
                // A week of the text index is read as a whole: here everything is of one week.
                let week = step.contains("Bitmap Index Scan") || statement.starts_with("WITH hits");
                let most = if week { COPIES as u64 + 100 } else { most };
                assert!(rows_of(step).is_none_or(|rows| rows <= most), "{plan}");
                let removed = number(step, "Rows Removed by Filter: ");
                assert!(removed.is_none_or(|rows| rows <= most), "{plan}");
            }
            Place::Sqlite { .. } => {
                let table = ["SCAN o", "SCAN x", "SCAN m"].iter().any(|scan| {
                    step.strip_prefix(scan).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
                // Whoever sees everything walks along an index; everybody else enters one.
                assert!(!table || step.contains("USING"), "{plan}");
                let sorts = step.contains("TEMP B-TREE FOR ORDER BY") && !statement.starts_with("WITH hits");
                assert!(!sorts, "{plan}");
            }
        }
    }
}

on_every_store! {
    async fn every_list_search_and_count_reads_a_bounded_part_of_an_index(store) {
        let mut lane = store.lane().await;
        let large = world(&mut *lane).await;
        let clock = store.store.clock();
        let ago = clock.now().since(Timestamp::from_micros(SOME_TIME));
        clock.turn_back(ago);
        run_one(&mut *lane, place(large.draft())).await;
        clock.advance(ago);
        multiply(&store).await;
        let small = world(&mut *lane).await;
        for _ in 0..20 {
            run_one(&mut *lane, place(small.draft())).await;
        }
        let (business, user) = (large.business.id, small.owner);
        run_one(&mut *lane, Write::PutMember(PutMember { business, user, role: MemberRole::Staff })).await;
        store.tamper("ANALYZE").await;
        let scopes = [
            OrderScope::Customer(large.customer),
            OrderScope::Customer(small.customer),
            OrderScope::Member(large.owner),
            OrderScope::Member(small.owner),
            OrderScope::Everybody,
        ];
        let words: [&[&str]; 5] = [&[], &["soup"], &["m", "p"], &["nobody"], &["1234"]];
        for scope in scopes {
            for business in [None, Some(large.business.id), Some(small.business.id)] {
                for status in [None, Some(Status::Placed), Some(Status::Ready)] {
                    for words in words {
                        for start in [
                            PageStart::Offset(0),
                            PageStart::Offset(9_000),
                            PageStart::After(Timestamp::from_micros(SOME_TIME - 20_000), OrderId::generate()),
                        ] {
                            let words = words.iter().map(|word| (*word).to_owned()).collect();
                            let query = OrderQuery { scope, business, status, words, start, limit: 20 };
                            // A customer's own are walked through, however many they are.
                            let most = if scope == scopes[0] { COPIES as u64 + 100 } else { 20_000 };
                            for plan in store.store.plans_of_orders(&query).await.unwrap() {
                                check_plan(&store, &plan, most);
                            }
                        }
                    }
                }
            }
        }
        let all = OrderQuery {
            scope: OrderScope::Member(small.owner), business: None, status: None, words: Vec::new(),
            start: PageStart::Offset(10_000), limit: 50,
        };
        for words in [vec![], vec!["soup".to_owned()]] {
            for (status, total) in [
                (None, Total::Capped), (Some(Status::Placed), Total::Capped), (Some(Status::Ready), Total::Exact(0)),
            ] {
                for scope in [OrderScope::Member(small.owner), OrderScope::Everybody, scopes[0]] {
                    let query = OrderQuery { status, scope, words: words.clone(), ..all.clone() };
                    assert_eq!(store.store.orders(&query).await.unwrap().total, Some(total), "{query:?}");
                }
            }
        }
    }
}

/// Words that are rare with somebody and frequent with everybody else.
#[tokio::test]
async fn on_postgres_a_search_reads_its_callers_part_of_the_text_index_only() {
    check(TestStore::postgres().await, |store| async move {
        let mut lane = store.lane().await;
        let clock = store.store.clock();
        clock.turn_back(clock.now().since(Timestamp::from_micros(SOME_TIME)));
        let other = world(&mut *lane).await;
        run_one(&mut *lane, place(other.draft())).await;
        multiply(&store).await;
        let own = world(&mut *lane).await;
        let kim = Draft { customer_name: "Kim".to_owned(), ..own.draft() };
        run_one(&mut *lane, place(kim)).await;
        // More of them than are walked past before the index is asked.
        store
            .tamper(
                "INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, fulfilment, status, \
                     payment_method, payment_status, total_minor, currency, version, created_at, updated_at, search) \
                 SELECT 'ord_f' || lpad(to_hex(n), 31, '0'), n, business_id, customer_id, customer_name, fulfilment, status, \
                     payment_method, payment_status, total_minor, currency, 1, created_at - n, updated_at, search \
                 FROM (SELECT * FROM orders ORDER BY id DESC LIMIT 1) o, generate_series(1, 2000) n; ANALYZE",
            )
            .await;
        let query = OrderQuery {
            scope: OrderScope::Member(own.owner),
            business: None,
            status: None,
            words: vec!["m".to_owned()],
            start: PageStart::Offset(0),
            limit: 20,
        };
        let plans = store.store.plans_of_orders(&query).await.unwrap();
        assert!(plans.iter().any(|plan| plan.starts_with("WITH hits")), "the index is asked: {plans:?}");
        for plan in plans {
            let rows = plan.lines().skip(1).filter_map(rows_of).max();
            assert!(rows.is_none_or(|rows| rows <= 3_000), "{plan}");
        }
        assert_eq!(store.store.orders(&query).await.unwrap().total, Some(Total::Exact(0)));
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_sqlite_readers_read_the_file_in_place() {
    check(TestStore::sqlite().await, |store| async move {
        let Place::Sqlite { path, .. } = &store.place else { panic!("it is SQLite") };
        // What was written is in the file and not in the log beside it.
        assert_eq!(store.store.checkpoint().await.unwrap(), Checkpoint::Done);
        store.store.businesses(None, 10).await.unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let file = path.to_str().unwrap();
        assert!(maps.lines().any(|line| line.ends_with(file)), "{maps}");
    })
    .await;
}
