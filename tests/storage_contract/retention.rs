//! How long rows stay: every table has an answer, and what runs out goes.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::cursor::Cursor;
use bellhop::domain::event::{Notification, Priority};
use bellhop::domain::ids::{InvitationId, LoginSessionId, NotificationId, UserId};
use bellhop::domain::order::Status;
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::protocol::event::RoomEvent;
use bellhop::storage::Lane;
use bellhop::storage::commands::{
    AckScope, DeviceAck, DeviceMark, Expirable, FinishIntent, FireDeadline, IntentResult, Invitee, MarkKind,
    NewInvitation, NewSession, Outcome, Purge, RETENTION, ReadNotification, RedeemTicket, Retention, RowKey,
    ScopedAck, Sweep, Sweepable, Write,
};

use crate::fixtures::{Fixture, move_to, now, place_once, placed, run, run_one, user};
use crate::harness::{Place, TestStore, check};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn purge(lane: &mut dyn Lane, what: Expirable, before: Timestamp, limit: u32) -> u64 {
    let mut deleted = 0;
    loop {
        match run_one(lane, Write::Purge(Purge { what, before, limit })).await {
            Outcome::Purged(rows) if rows < u64::from(limit) => return deleted + rows,
            Outcome::Purged(rows) => deleted += rows,
            other => panic!("expected a number of rows, got {other:?}"),
        }
    }
}

async fn sweep(lane: &mut dyn Lane, what: Sweepable, before: Timestamp, limit: u32) -> u64 {
    let (mut deleted, mut after) = (0, None);
    loop {
        let Outcome::Advanced(step) = run_one(lane, Write::Sweep(Sweep { what, before, after, limit })).await
        else {
            panic!("expected how far it came")
        };
        deleted += step.changed;
        let Some(last) = step.last else { return deleted };
        after = Some(RowKey::of_text(&last));
    }
}

fn ack(room: RoomId, user: UserId, device: &str, cursor: Cursor, at: Timestamp) -> Write {
    let ack = DeviceAck { room, device: device.to_owned(), user, cursor, at };
    Write::StoreAcks(
        [ScopedAck { ack, reach: AckScope::After(0), role: Role::Merchant }].into_iter().collect(),
    )
}

fn mark(event: &RoomEvent, user: UserId, device: &str, cursor: Cursor, at: Timestamp) -> Write {
    let (room, device) = (event.room, device.to_owned());
    Write::StoreMark(DeviceMark {
        room,
        device,
        user,
        role: Role::Merchant,
        cursor,
        kind: MarkKind::Shown,
        at,
    })
}

async fn count(store: &TestStore, table: &str) -> i64 {
    // Lives as long as the tests do.
    let sql: &'static str = Box::leak(format!("SELECT count(*) FROM {table}").into_boxed_str());
    store.peek(sql).await
}

/// Rows that end about now, of tables that are written by what the tests here do not use.
async fn put_in(store: &TestStore) {
    let now = now().as_micros();
    for sql in [
        format!(
            "INSERT INTO nodes (node, version, schema_version, state, sockets, rooms, started_at, until) \
            VALUES ('n', 'v', 1, 'ready', 0, 0, {now}, {now})"
        ),
        format!("INSERT INTO reach_leases (business_id, node, devices, until) VALUES ('b', 'n', 1, {now})"),
        format!(
            "INSERT INTO holds (what, scope, until, reason, user_id, created_at) VALUES ('dispatch', 'all', {now}, 'r', 'u', 0)"
        ),
        format!(
            "INSERT INTO payment_messages (id, key, body, state, created_at, updated_at) VALUES ('msg_1', 'k', '', 'done', {now}, {now})"
        ),
        format!(
            "INSERT INTO dead_letters (id, kind, source, reason, state, created_at, updated_at) VALUES ('dlt_1', 'payment', 'msg_1', 'failing', 'done', {now}, {now})"
        ),
        format!(
            "INSERT INTO offers (id, delivery_id, order_id, business_id, driver_id, wave, attempt, state, distance_m, payout_minor, \
             deadline_at, created_at) VALUES ('off_1', 'd', 'o', 'b', 'u', 1, 1, 'expired', 0, 0, {now}, {now})"
        ),
        format!(
            "INSERT INTO delivery_steps (order_id, n, step, party, at, created_at) VALUES ('o', 1, 'at_pickup', 'driver', {now}, {now})"
        ),
        format!("INSERT INTO audit (id, at, action, target, detail) VALUES ('a', {now}, 'a', 't', '')"),
    ] {
        // Lives as long as the tests do.
        store.tamper(Box::leak(sql.into_boxed_str())).await;
    }
}

/// A world in which every table that runs out has rows.
async fn used(store: &TestStore) -> Fixture {
    let (world, mut lane) = Fixture::new(store).await;
    let lane = &mut *lane;
    let mut committed = run(lane, vec![place_once(world.draft(), "k", "m")]).await;
    let (order, event) = (placed(&committed.outcomes[0]), committed.events.remove(0));
    let due = committed.sagas[0];
    store.store.clock().advance(Duration::from_secs(5));
    let fire = FireDeadline { order: due.order, business: due.business, attempt: due.attempt };
    run_one(lane, Write::FireDeadline(fire)).await;
    run_one(lane, move_to(&order, Status::Rejected)).await;
    let intent = store.store.due_intents(store.store.clock().now(), 1).await.unwrap()[0].id;
    run_one(lane, Write::FinishIntent(FinishIntent { intent, result: IntentResult::Sent })).await;
    put_in(store).await;
    run_one(lane, ack(event.room, world.owner, "till", event.cursor, now())).await;
    run_one(lane, mark(&event, world.owner, "till", event.cursor, now())).await;
    let account = user(Role::Merchant);
    let session = NewSession {
        id: LoginSessionId::generate(),
        user: account.id,
        device: None,
        token_hash: "h".to_owned(),
        created_at: now(),
        expires_at: now().plus(DAY),
    };
    let notification = Notification {
        id: NotificationId::generate(),
        business_id: world.business.id,
        kind: "NOTE".to_owned(),
        title: "t".to_owned(),
        message: "m".to_owned(),
        data: Default::default(),
        priority: Priority::Low,
        created_at: now(),
    };
    let (business, id) = (world.business.id, notification.id);
    let invited = user(Role::Merchant);
    let invitation = NewInvitation {
        id: InvitationId::generate(),
        business,
        invitee: Invitee::User(invited.id),
        role: MemberRole::Staff,
        invited_by: world.owner,
        expires_at: now().plus(DAY),
    };
    run(
        lane,
        vec![
            Write::CreateUser(Box::new(account)),
            Write::OpenSession(Box::new(session)),
            Write::CreateUser(Box::new(invited)),
            Write::Invite(Box::new(invitation)),
            Write::RedeemTicket(RedeemTicket { jti: "t".to_owned(), expires_at: now().plus(DAY) }),
            Write::PostNotification(Box::new(notification)),
        ],
    )
    .await;
    run_one(
        lane,
        Write::ReadNotification(ReadNotification { business, notification: id, user: world.owner }),
    )
    .await;
    world
}

on_every_store! {
    async fn every_table_has_a_retention_or_a_reason_to_stay(store) {
        let tables = match &store.place {
            Place::Postgres { .. } => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            // The text index keeps its own tables behind its name.
            Place::Sqlite { .. } => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 AND name NOT LIKE 'order_search_%'"
            }
        };
        let known: BTreeSet<&str> = RETENTION.iter().map(|(table, _)| *table).collect();
        for table in store.texts(tables).await {
            assert!(known.contains(table.as_str()), "nobody has said how long rows of {table} stay");
        }
        for (table, retention) in RETENTION {
            match retention {
                Retention::With(other) => assert!(known.contains(other), "{table} goes with {other}, which is no table"),
                Retention::Stays(reason) => assert!(!reason.is_empty(), "{table}"),
                Retention::Purged(_) | Retention::Swept(_) => {}
            }
        }
    }

    async fn after_a_year_nothing_is_left_but_what_stays(store) {
        used(&store).await;
        let runs_out = RETENTION.iter().filter(|(_, retention)| match retention {
            Retention::With(other) => *other == "notifications",
            Retention::Purged(_) | Retention::Swept(_) => true,
            Retention::Stays(_) => false,
        });
        let tables: Vec<&str> = runs_out.map(|(table, _)| *table).collect();
        for table in &tables {
            assert!(count(&store, table).await > 0, "{table} was used");
        }
        let mut lane = store.lane().await;
        let year = 365 * DAY;
        for (before, runs_out) in [(now().minus(year), false), (now().plus(year), true)] {
            let look = async |table: &str| {
                // Clean-up is commands as well.
                let left = if table == "commands" { 100 } else { 0 };
                let rows = count(&store, table).await;
                let right = if runs_out { rows <= left } else { rows > 0 };
                assert!(right, "{table} has {rows} rows, run out: {runs_out}");
            };
            // Devices last, with what is known of them: of one that is there every day it has to go by its own age.
            let mut tables_in_turn = RETENTION.to_vec();
            tables_in_turn.sort_by_key(|(_, retention)| *retention == Retention::Purged(Expirable::Devices));
            for (table, retention) in tables_in_turn {
                match retention {
                    Retention::Purged(what) => drop(purge(&mut *lane, what, before, 3).await),
                    Retention::Swept(what) => drop(sweep(&mut *lane, what, before, 3).await),
                    Retention::With(_) | Retention::Stays(_) => continue,
                }
                look(table).await;
            }
            for table in &tables {
                look(table).await;
            }
        }
        for table in ["orders", "order_items", "order_events", "room_seq", "members", "users"] {
            assert!(count(&store, table).await > 0, "{table} stays");
        }
    }

    async fn a_message_or_a_dead_letter_that_waits_for_somebody_stays_however_old_it_is(store) {
        let now = now().as_micros();
        for (n, state) in ["due", "dead", "done"].into_iter().enumerate() {
            let sql = format!("INSERT INTO payment_messages (id, key, body, state, created_at, updated_at) \
                VALUES ('msg_{n}', 'k{n}', '', '{state}', {now}, {now})");
            store.tamper(Box::leak(sql.into_boxed_str())).await;
        }
        for (n, state) in ["open", "replayed", "done"].into_iter().enumerate() {
            let sql = format!("INSERT INTO dead_letters (id, kind, source, reason, state, created_at, updated_at) \
                VALUES ('dlt_{n}', 'payment', 'msg_{n}', 'failing', '{state}', {now}, {now})");
            store.tamper(Box::leak(sql.into_boxed_str())).await;
        }
        let mut lane = store.lane().await;
        let later = crate::fixtures::now().plus(365 * DAY);
        for what in [Expirable::PaymentMessages, Expirable::DeadLetters] {
            assert_eq!(purge(&mut *lane, what, later, 10).await, 1, "{what:?}");
        }
        assert_eq!(store.texts("SELECT state FROM payment_messages ORDER BY id").await, ["due", "dead"]);
        assert_eq!(store.texts("SELECT state FROM dead_letters ORDER BY id").await, ["open", "replayed"]);
    }

    async fn an_offer_that_can_be_answered_stays_however_old_it_is(store) {
        let now = now().as_micros();
        for (n, state) in ["open", "expired", "accepted"].into_iter().enumerate() {
            let sql = format!("INSERT INTO offers (id, delivery_id, order_id, business_id, driver_id, wave, attempt, state, \
                distance_m, payout_minor, deadline_at, created_at) \
                VALUES ('off_{n}', 'dlv_{n}', 'ord_{n}', 'biz_0', 'usr_0', 1, 1, '{state}', 0, 0, {now}, {now})");
            store.tamper(Box::leak(sql.into_boxed_str())).await;
        }
        let mut lane = store.lane().await;
        let later = crate::fixtures::now().plus(365 * DAY);
        assert_eq!(purge(&mut *lane, Expirable::Offers, later, 10).await, 2);
        assert_eq!(store.texts("SELECT state FROM offers").await, ["open"]);
    }

    async fn a_mark_needs_an_event_that_is_about_an_order(store) {
        let world = used(&store).await;
        let mut lane = store.lane().await;
        let room = RoomId::Business(world.business.id);
        let events = store.store.events_after(room, 0, 100).await.unwrap();
        let before = count(&store, "device_marks").await;
        let about_no_order = events.last().unwrap();
        assert_eq!(about_no_order.kind.as_str(), "notification");
        let of = |seq| Cursor::new(events[0].cursor.epoch, seq);
        for cursor in [of(0), of(10_000), about_no_order.cursor, Cursor::new(bellhop::domain::cursor::Epoch::new(7), 1)] {
            let marked = run_one(&mut *lane, mark(&events[0], world.owner, "other", cursor, now())).await;
            assert!(matches!(marked, Outcome::Done), "the device is answered as ever");
        }
        assert_eq!(count(&store, "device_marks").await, before);
        run_one(&mut *lane, mark(&events[0], world.owner, "other", events[0].cursor, now())).await;
        assert_eq!(count(&store, "device_marks").await, before + 1);
    }

    async fn a_user_has_fifty_devices_and_those_seen_least_recently_go(store) {
        let world = used(&store).await;
        let mut lane = store.lane().await;
        let room = RoomId::Business(world.business.id);
        let event = store.store.events_after(room, 0, 1).await.unwrap().remove(0);
        let at = |n: u32| now().plus(Duration::from_secs(60) * (n + 1));
        for n in 0..80 {
            let device = format!("made-up-{n:02}");
            run_one(&mut *lane, mark(&event, world.owner, &device, event.cursor, at(n))).await;
            run_one(&mut *lane, ack(room, world.owner, &device, event.cursor, at(n))).await;
        }
        let neighbour = ack(room, world.customer, "neighbour", event.cursor, at(0));
        run_one(&mut *lane, neighbour).await;
        // One of those that had to go is there again, and takes the place of another.
        run_one(&mut *lane, ack(room, world.owner, "made-up-03", Cursor::new(event.cursor.epoch, 2), at(90))).await;
        assert!(purge(&mut *lane, Expirable::Devices, now().minus(DAY), 7).await > 60);
        for table in ["devices", "device_acks", "device_marks"] {
            let rows = count(&store, table).await;
            let neighbours = if table == "device_marks" { 0 } else { 1 };
            assert_eq!(rows, 50 + neighbours, "{table}");
        }
        assert_eq!(store.peek("SELECT count(*) FROM device_acks WHERE device < 'made-up-31'").await, 1);
        assert_eq!(store.peek("SELECT count(*) FROM device_acks WHERE device = 'made-up-03'").await, 1);
    }

    async fn a_device_that_is_there_all_day_is_noted_once(store) {
        let world = used(&store).await;
        let mut lane = store.lane().await;
        let room = RoomId::Business(world.business.id);
        let epoch = store.store.epoch().await.unwrap();
        let noted = "SELECT max(seen_at) FROM devices";
        let first = store.peek(noted).await;
        for hour in 1..24 {
            let at = Timestamp::from_micros(first).plus(Duration::from_secs(3600) * hour);
            run_one(&mut *lane, ack(room, world.owner, "till", Cursor::new(epoch, u64::from(hour)), at)).await;
            assert_eq!(store.peek(noted).await, first);
        }
        let at = Timestamp::from_micros(first).plus(25 * Duration::from_secs(3600));
        run_one(&mut *lane, ack(room, world.owner, "till", Cursor::new(epoch, 30), at)).await;
        assert_eq!(store.peek(noted).await, at.as_micros());
    }
}

/// A table that is on neither database needs no answer.
#[tokio::test]
async fn nothing_is_said_of_a_table_that_is_not_there() {
    let mut tables = BTreeSet::new();
    for (store, list) in [
        (TestStore::sqlite().await, "SELECT name FROM sqlite_master WHERE type = 'table'"),
        (TestStore::postgres().await, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"),
    ] {
        tables.extend(store.texts(list).await);
        check(store, |_| async {}).await;
    }
    for (table, _) in RETENTION {
        assert!(tables.contains(*table), "{table} is no table");
    }
}
