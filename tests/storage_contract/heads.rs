//! Rooms in use are compared with the store some at a time, so that a question has a bound however many rooms there are.

use std::time::Duration;

use bellhop::actors::room::Rooms;
use bellhop::actors::settings::RoomSettings;
use bellhop::bus::InProcessBus;
use bellhop::domain::cursor::Cursor;
use bellhop::domain::ids::BusinessId;
use bellhop::domain::room::RoomId;
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{TestStore, check, metrics};

/// Two questions of 500, and one room more.
const ROOMS: usize = 1_001;

/// Reads that wait for a table somebody else has locked.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'bellhop' AND wait_event_type = 'Lock'";

#[test]
fn a_thousand_rooms_are_compared_with_the_store_in_several_questions_two_at_once() {
    actix_rt::System::new().block_on(async {
        let store = TestStore::postgres().await;
        let epoch = store.store.epoch().await.unwrap();
        let (bus, _) = InProcessBus::default().connect();
        let rooms = Rooms::start(store.store.clone(), bus, 1, RoomSettings::default(), metrics());
        let names: Vec<RoomId> = (0..ROOMS).map(|_| RoomId::Business(BusinessId::generate())).collect();
        // Whoever asks for a room's history begins it.
        for some in names.chunks(100) {
            let begun = some.iter().map(|room| rooms.history(*room, Cursor::new(epoch, 0), 1));
            join_all(begun).await.into_iter().for_each(|begun| drop(begun.unwrap()));
        }
        assert_eq!(rooms.count(), ROOMS);
        let mut holder = PgConnection::connect(store.url()).await.unwrap();
        holder.execute("BEGIN; LOCK TABLE room_seq IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let two_wait = async {
            while store.peek(WAITING).await != 2 {
                looks.tick().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), two_wait).await;
        let waiting = store.peek(WAITING).await;
        holder.execute("ROLLBACK").await.unwrap();
        holder.close().await.unwrap();
        rooms.stop();
        check(store, |_| async {}).await;
        assert!(waited.is_ok(), "two questions are under way at once, and not {waiting}");
    });
}
