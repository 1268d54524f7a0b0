//! What clean-up deletes, what it leaves, and what goes on as before.

use std::time::Duration;

use bellhop::domain::access::Role;
use bellhop::domain::event::{Notification, Priority};
use bellhop::domain::ids::{BusinessId, LoginSessionId, NotificationId};
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{
    Analyze, EndSession, Expirable, NewSession, Outcome, Purge, RedeemTicket, Write,
};
use bellhop::storage::{Checkpoint, Lane};

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::fixtures::{Fixture, now, place_once, run, run_one, user};

const HOUR: Duration = Duration::from_secs(3600);

async fn purge(lane: &mut dyn Lane, what: Expirable, before: Timestamp, limit: u32) -> u64 {
    match run_one(lane, Write::Purge(Purge { what, before, limit })).await {
        Outcome::Purged(rows) => rows,
        other => panic!("expected a number of rows, got {other:?}"),
    }
}

fn notification(business_id: BusinessId) -> Write {
    Write::PostNotification(Box::new(Notification {
        id: NotificationId::generate(),
        business_id,
        kind: "NOTE".to_owned(),
        title: "t".to_owned(),
        message: "m".to_owned(),
        data: Default::default(),
        priority: Priority::Low,
        created_at: now(),
    }))
}

on_every_store! {
    async fn tickets_go_when_they_have_run_out_and_not_before(store) {
        let mut lane = store.lane().await;
        let at = now();
        for (jti, expires_at) in [("old", at.minus(HOUR)), ("fresh", at.plus(HOUR))] {
            run_one(&mut *lane, Write::RedeemTicket(RedeemTicket { jti: jti.to_owned(), expires_at })).await;
        }
        assert_eq!(purge(&mut *lane, Expirable::Tickets, at, 10).await, 1);
        assert_eq!(purge(&mut *lane, Expirable::Tickets, at, 10).await, 0);
        assert_eq!(store.peek("SELECT count(*) FROM tickets WHERE jti = 'fresh'").await, 1);
    }

    async fn sessions_go_when_they_ran_out_or_were_ended_and_live_ones_stay(store) {
        let mut lane = store.lane().await;
        let at = now();
        let account = user(Role::Merchant);
        let owner = account.id;
        run_one(&mut *lane, Write::CreateUser(Box::new(account))).await;
        let mut open = async |expires_at| {
            let session = NewSession {
                id: LoginSessionId::generate(),
                user: owner,
                device: None,
                token_hash: "h".to_owned(),
                created_at: at.minus(HOUR),
                expires_at,
            };
            let id = session.id;
            run_one(&mut *lane, Write::OpenSession(Box::new(session))).await;
            id
        };
        let (_expired, ended, live) = (open(at.minus(HOUR)).await, open(at.plus(HOUR)).await, open(at.plus(HOUR)).await);
        run_one(&mut *lane, Write::EndSession(EndSession { session: ended })).await;
        let later = now().plus(Duration::from_secs(1));
        assert_eq!(purge(&mut *lane, Expirable::Sessions, later, 10).await, 2);
        assert_eq!(store.peek("SELECT count(*) FROM sessions").await, 1);
        assert!(store.store.session_owner(live).await.unwrap().is_some());
    }

    async fn keys_and_commands_go_by_age_and_the_orders_they_made_stay(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        run_one(&mut *lane, place_once(world.draft(), "k", "m")).await;
        let early = now().minus(HOUR);
        for what in [Expirable::IdempotencyKeys, Expirable::Commands] {
            assert_eq!(purge(&mut *lane, what, early, 100).await, 0, "{what:?}");
            assert!(purge(&mut *lane, what, now().plus(HOUR), 100).await > 0, "{what:?}");
        }
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 1);
        assert_eq!(store.peek("SELECT count(*) FROM idempotency_keys").await, 0);
    }

    async fn no_more_rows_go_at_once_than_was_said(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        run(&mut *lane, (0..5).map(|_| notification(world.business.id)).collect()).await;
        let later = now().plus(HOUR);
        purge(&mut *lane, Expirable::ControlEvents, later, 100).await;
        for what in [Expirable::Notifications, Expirable::RoomEvents] {
            let mut taken = Vec::new();
            for _ in 0..3 {
                taken.push(purge(&mut *lane, what, later, 2).await);
            }
            assert_eq!(taken, [2, 2, 1], "{what:?}");
        }
    }

    async fn a_room_whose_history_is_gone_goes_on_counting_and_shows_the_gap(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let room = RoomId::Business(world.business.id);
        run(&mut *lane, vec![notification(world.business.id), notification(world.business.id)]).await;
        let head = store.store.head(room).await.unwrap().cursor;
        purge(&mut *lane, Expirable::ControlEvents, now().plus(HOUR), 100).await;
        assert_eq!(purge(&mut *lane, Expirable::RoomEvents, now().plus(HOUR), 100).await, 2);
        assert_eq!(store.store.head(room).await.unwrap().cursor, head, "the end of the history is still known");
        let next = run(&mut *lane, vec![notification(world.business.id)]).await.events;
        assert_eq!(next[0].cursor.seq, head.seq + 1);
        assert!(store.store.events_after(room, 0, 10).await.unwrap().is_empty(), "nothing follows on what is gone");
        assert_eq!(store.store.events_after(room, head.seq, 10).await.unwrap().len(), 1);
    }

    async fn upkeep_of_the_database_leaves_everything_as_it_was(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = crate::fixtures::place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, Write::Analyze(Analyze)).await;
        assert_eq!(store.store.checkpoint().await.unwrap(), Checkpoint::Done);
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(order));
        run_one(&mut *lane, crate::fixtures::place(world.draft())).await;
    }
}

#[tokio::test]
async fn a_checkpoint_that_a_reader_is_in_the_way_of_says_so_and_the_next_one_gives_the_space_back() {
    let store = crate::harness::TestStore::sqlite().await;
    let crate::harness::Place::Sqlite { path, .. } = &store.place else { panic!("it is SQLite") };
    let (world, mut lane) = Fixture::new(&store).await;
    let mut reader = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    reader.execute("SELECT count(*) FROM orders").await.unwrap();
    run_one(&mut *lane, crate::fixtures::place(world.draft())).await;
    let log = std::path::PathBuf::from(format!("{}-wal", path.display()));
    let size = || std::fs::metadata(&log).unwrap().len();
    assert_eq!(store.store.checkpoint().await.unwrap(), Checkpoint::Busy);
    assert!(size() > 0);
    reader.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.store.checkpoint().await.unwrap(), Checkpoint::Done);
    assert_eq!(size(), 0);
    crate::harness::check(store, |_| async {}).await;
}
