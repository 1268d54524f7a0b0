//! Errors and what is known after them; migrations; connections that are lost.

use bellhop::domain::access::Role;
use bellhop::domain::event::{Notification, Priority};
use bellhop::domain::ids::{
    BusinessId, LoginSessionId, NotificationId, PaymentId, PaymentMessageId, RefundId, UserId,
};
use bellhop::domain::order::Status;
use bellhop::domain::payment::{MoneyWay, Recorded, RefundDemand};
use bellhop::domain::private::Private;
use bellhop::storage::commands::{
    AddItem, ApproveUser, BusinessPatch, Command, DemandRefund, EndSession, IdempotencyKey, InitiatePayment,
    ItemPatch, Keyed, NewSession, Outcome, PutMember, ReceiveMessage, RecordPayment, RedeemTicket,
    RemoveItem, RemoveMember, RotateSession, SetAlertMe, SetPassword, SetPhone, UpdateItem, Write,
};
use bellhop::storage::{Attempt, StoreError};

use crate::fixtures::{
    Fixture, command, item, move_to, now, place, place_once, place_one, placed, run_one, update, user, world,
};
use crate::harness::{TestStore, check};

/// One command of every kind whose outcome says something, some of them refused.
fn every_kind(world: &Fixture, order: &bellhop::domain::order::Order) -> Vec<Command> {
    let account = user(Role::Merchant);
    let session = NewSession {
        id: LoginSessionId::generate(),
        user: world.owner,
        device: None,
        token_hash: "h0".to_owned(),
        created_at: now(),
        expires_at: now().plus(std::time::Duration::from_secs(600)),
    };
    let rotate = RotateSession {
        session: session.id,
        generation: 0,
        presented_hash: "h0".to_owned(),
        successor_hash: "h1".to_owned(),
        lifetime: std::time::Duration::from_secs(600),
        used: None,
    };
    let (business, end) = (world.business.id, Write::EndSession(EndSession { session: session.id }));
    let mut unknown = world.draft();
    unknown.items[0].sku = "NO".to_owned();
    let sku = "SOUP".to_owned();
    [
        place(world.draft()),
        place_once(world.draft(), "k", "m"),
        place_once(world.draft(), "k", "m"),
        place_once(world.draft(), "k", "other"),
        place(unknown),
        move_to(order, Status::Accepted),
        move_to(order, Status::Ready),
        Write::CreateUser(Box::new(account.clone())),
        Write::CreateUser(Box::new(account)),
        Write::ApproveUser(ApproveUser { user: world.owner }),
        Write::SetPassword(Box::new(SetPassword {
            user: world.owner,
            password_hash: "another".to_owned(),
            instead_of: None,
        })),
        Write::SetPhone(Box::new(SetPhone {
            user: world.owner,
            phone: Some("+351 21 555 01 99".to_owned()),
        })),
        Write::SetAlertMe(SetAlertMe { business, user: world.owner, alert_me: false }),
        Write::OpenSession(Box::new(session)),
        Write::RotateSession(rotate),
        end,
        Write::RedeemTicket(RedeemTicket { jti: "t".to_owned(), expires_at: now() }),
        update(business, BusinessPatch { tables: Some(3), ..Default::default() }),
        update(
            business,
            BusinessPatch { currency: Some("EUR".parse().expect("a currency")), ..Default::default() },
        ),
        keyed("made", "m", Write::AddItem(AddItem { business, item: item("KEYED", 5) })),
        keyed("made", "m", Write::AddItem(AddItem { business, item: item("KEYED", 5) })),
        keyed("made", "other", Write::AddItem(AddItem { business, item: item("KEYED", 5) })),
        Write::AddItem(AddItem { business, item: item("NEW", 5) }),
        Write::UpdateItem(UpdateItem {
            business,
            sku,
            patch: ItemPatch { price_minor: Some(9), ..ItemPatch::default() },
        }),
        Write::RemoveItem(RemoveItem { business, sku: "GONE".to_owned() }),
        Write::PutMember(PutMember {
            business,
            user: world.customer,
            role: bellhop::domain::access::MemberRole::Staff,
        }),
        Write::RemoveMember(RemoveMember { business, user: world.owner }),
        Write::StoreAcks([].into()),
        record(order),
        record(order),
        record(&bellhop::domain::order::Order {
            id: bellhop::domain::ids::OrderId::generate(),
            ..order.clone()
        }),
        Write::DemandRefund(Box::new(DemandRefund {
            order: order.id,
            business,
            demand: RefundDemand {
                id: RefundId::generate(),
                amount_minor: Some(1),
                reason: None,
                by_hand: None,
                reference: None,
                user: world.owner,
            },
        })),
        Write::ReceiveMessage(Box::new(ReceiveMessage {
            id: PaymentMessageId::generate(),
            key: "k".to_owned(),
            body: Private("{}".to_owned()),
            order: None,
            payment: None,
        })),
        Write::InitiatePayment(InitiatePayment {
            order: order.id,
            business,
            payment: PaymentId::generate(),
            user: world.customer,
        }),
    ]
    .into_iter()
    .map(command)
    .collect()
}

/// What was paid at the till.
fn record(order: &bellhop::domain::order::Order) -> Write {
    let recorded = Recorded {
        id: PaymentId::generate(),
        way: MoneyWay::Terminal,
        reference: None,
        user: order.customer_id,
    };
    Write::RecordPayment(Box::new(RecordPayment { order: order.id, business: order.business_id, recorded }))
}

fn keyed(key: &str, mac: &str, action: Write) -> Write {
    let key =
        IdempotencyKey { scope: "somebody".to_owned(), key: key.to_owned(), request_mac: mac.to_owned() };
    Write::Keyed(Box::new(Keyed { key, status: 201, body: Private("{}".to_owned()), write: action }))
}

fn words(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| format!("{outcome:?}")).collect()
}

on_every_store! {
    async fn commands_that_had_happened_are_answered_again_and_happen_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let commands = every_kind(&world, &order);
        let first = lane.run(&commands, Attempt::First).await.unwrap();
        // What an order has become since does not change the first answer.
        run_one(&mut *lane, move_to(&placed(&first.outcomes[0]), Status::Rejected)).await;
        let counts = async || (
            store.peek("SELECT count(*) FROM orders").await, store.peek("SELECT count(*) FROM room_events").await,
            store.peek("SELECT count(*) FROM commands").await, store.peek("SELECT max(generation) FROM sessions").await,
        );
        let before = counts().await;
        let again = lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        assert_eq!(words(&again.outcomes), words(&first.outcomes));
        assert!(again.events.is_empty());
        assert_eq!(counts().await, before);
    }

    async fn commands_that_had_not_happened_happen_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let mut commands = every_kind(&world, &order);
        let happened = commands.remove(0);
        lane.run(std::slice::from_ref(&happened), Attempt::First).await.unwrap();
        let rerun = lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        assert_eq!(rerun.outcomes.len(), commands.len());
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 3);
        commands.push(happened);
        let again = lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        assert_eq!(words(&again.outcomes)[..commands.len() - 1], words(&rerun.outcomes));
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 3);
    }

    async fn commands_tried_again_by_several_lanes_at_once_happen_once(store) {
        let (world, _lane) = Fixture::new(&store).await;
        let commands = std::sync::Arc::new(vec![command(place(world.draft())), command(place(world.draft()))]);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..8).map(|i| {
            let (lane, commands) = (lanes[i % lanes.len()].clone(), commands.clone());
            tokio::spawn(async move {
                words(&lane.lock().await.run(&commands, Attempt::AfterUnknown).await.unwrap().outcomes)
            })
        }).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 2);
    }

    async fn one_poisonous_command_undoes_its_transaction_and_the_lane_goes_on(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let stray = Notification {
            id: NotificationId::generate(), business_id: BusinessId::generate(), kind: "X".to_owned(),
            title: "t".to_owned(), message: "m".to_owned(), data: Default::default(),
            priority: Priority::Normal, created_at: now(),
        };
        let mut nobody = world.draft();
        nobody.customer_id = UserId::generate();
        let twice = command(place(world.draft()));
        for poison in [
            vec![command(Write::PostNotification(Box::new(stray)))], vec![command(place(nobody))],
            vec![twice.clone(), twice],
        ] {
            let mut commands = vec![command(place_once(world.draft(), "k", "m"))];
            commands.extend(poison);
            let failed = lane.run(&commands, Attempt::First).await;
            assert!(matches!(failed, Err(StoreError::NotHappened(_))), "{failed:?}");
            assert_eq!(store.peek("SELECT count(*) FROM orders").await, 0);
            assert_eq!(store.peek("SELECT count(*) FROM room_seq WHERE room <> 'control'").await, 0);
            assert_eq!(store.peek("SELECT count(*) FROM idempotency_keys").await, 0);
        }
        let order = place_one(&mut *lane, world.draft()).await;
        assert_eq!(order.order_number, 1, "an undone order leaves no gap in the numbers");
    }

    async fn nothing_to_do_is_done_at_once(store) {
        let mut lane = store.lane().await;
        assert!(lane.run(&[], Attempt::First).await.unwrap().outcomes.is_empty());
        store.store.ping().await.unwrap();
        assert!(store.store.pool_size().0 >= 1);
    }

    async fn migrations_run_once_however_many_nodes_start(store) {
        let (world, _lane) = Fixture::new(&store).await;
        let epoch = store.store.epoch().await.unwrap();
        let (one, two, three) = (store.again().await, store.again().await, store.again().await);
        let (a, b, c) = tokio::join!(one.migrate(), two.migrate(), three.migrate());
        a.and(b).and(c).unwrap();
        assert_eq!(one.epoch().await.unwrap(), epoch);
        assert!(two.business(world.business.id).await.unwrap().is_some());
    }

    async fn what_makes_no_sense_is_reported_as_corrupt(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        store.tamper("UPDATE orders SET status = 'dancing'").await;
        assert!(matches!(store.store.order(order.id).await, Err(StoreError::Corrupt(_))));
        let moved = lane.run(&[command(move_to(&order, Status::Accepted))], Attempt::First).await;
        assert!(matches!(moved, Err(StoreError::Corrupt(_))), "{moved:?}");
    }

    async fn another_node_sees_what_was_committed(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        drop(lane);
        let other = store.again().await;
        assert_eq!(other.order(order.id).await.unwrap(), Some(order));
        other.close().await;
    }
}

const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn on_postgres_a_lane_whose_idle_connection_was_cut_goes_on_with_a_new_one() {
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        store.tamper(CUT).await;
        place_one(&mut *lane, world.draft()).await;
        store.store.order(bellhop::domain::ids::OrderId::generate()).await.unwrap();
    })
    .await;
}

/// A deferred trigger ends its own back end while COMMIT is under way.
#[tokio::test]
async fn on_postgres_a_commit_cut_short_is_unknown_and_its_commands_happen_once() {
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        store
            .tamper(
                "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
            )
            .await;
        store
            .tamper(
                "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION die()",
            )
            .await;
        let commands = [command(place_once(world.draft(), "k", "m"))];
        let cut = lane.run(&commands, Attempt::First).await;
        assert!(matches!(cut, Err(StoreError::OutcomeUnknown(_))), "{cut:?}");
        store.tamper("DROP TRIGGER dies ON orders").await;
        let first = lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        let again = lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        assert_eq!(words(&first.outcomes), words(&again.outcomes));
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 1);
    })
    .await;
}

#[tokio::test]
async fn on_postgres_a_row_somebody_holds_too_long_is_too_slow_and_nothing_changes() {
    use sqlx::{Connection, Executor};
    check(TestStore::postgres().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let mut impatient = store.impatient().open_lane().await.unwrap();
        let mut holder = sqlx::PgConnection::connect(store.url()).await.unwrap();
        holder.execute("BEGIN; SELECT * FROM orders FOR UPDATE").await.unwrap();
        let commands = [command(place(world.draft())), command(move_to(&order, Status::Accepted))];
        let held = impatient.run(&commands, Attempt::First).await;
        assert!(matches!(held, Err(StoreError::TooSlow(_))), "{held:?}");
        holder.execute("ROLLBACK").await.unwrap();
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 1);
        impatient.run(&commands, Attempt::First).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn on_postgres_a_deadlock_is_tried_again_at_once() {
    check(TestStore::postgres().await, |store| async move {
        let mut lane = store.lane().await;
        let (one, two) = (world(&mut *lane).await, world(&mut *lane).await);
        let rename = |w: &Fixture| {
            let patch = BusinessPatch { name: Some("new".to_owned()), ..BusinessPatch::default() };
            command(update(w.business.id, patch))
        };
        let mut other = store.lane().await;
        // Opposite orders, again and again: some of these deadlock, and none of them is answered with an error.
        for _ in 0..10 {
            let (ahead, back) = ([rename(&one), rename(&two)], [rename(&two), rename(&one)]);
            let (a, b) = tokio::join!(lane.run(&ahead, Attempt::First), other.run(&back, Attempt::First));
            a.and(b).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_postgres_is_unavailable_and_its_password_stays_out_of_the_error() {
    use bellhop::storage::postgres::{PostgresOptions, connect};
    let second = std::time::Duration::from_secs(1);
    let options = |url: &str| PostgresOptions {
        url: url.into(),
        min_connections: 0,
        max_connections: 1,
        acquire_timeout: second,
        connect_timeout: second,
        idle_timeout: second,
        max_lifetime: second,
        statement_timeout: second,
        lock_timeout: second,
    };
    let connect = |url| connect(&options(url), crate::harness::cipher(), crate::harness::metrics());
    let store = connect("postgres://u:hunter2@127.0.0.1:1/db").unwrap();
    let errors = [
        store.ping().await.unwrap_err(),
        store.open_lane().await.err().unwrap(),
        store.migrate().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    let malformed = connect("nonsense hunter2").err().unwrap();
    assert!(!format!("{malformed:?}").contains("hunter2"));
}
