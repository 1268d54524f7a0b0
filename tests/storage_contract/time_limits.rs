//! What meets a time limit of the hub's own holds nobody else up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellhop::actors::FatalSignal;
use bellhop::actors::persistence::{CommitListener, Persistence};
use bellhop::actors::settings::PersistenceSettings;
use bellhop::domain::access::Role;
use bellhop::domain::cursor::Cursor;
use bellhop::domain::room::RoomId;
use bellhop::storage::commands::{
    AckScope, Command, Committed, DeviceAck, PlaceOrder, PlaceOutcome, ScopedAck,
};
use futures_util::future::join_all;

use crate::fixtures::{Fixture, now, respond};
use crate::harness::{TestStore, check, metrics};

struct Nobody;

impl CommitListener for Nobody {
    fn committed(&self, _: &[Command], _: &mut Committed) {}

    fn commit_unknown(&self, _: &[Command]) {}
}

#[test]
fn acknowledgements_of_much_are_stored_in_the_end_and_orders_beside_them_are_always_placed() {
    const EVENTS: u64 = 10_000;
    const DEVICES: u64 = 40;
    actix_rt::System::new().block_on(async {
        let store = TestStore::postgres().await;
        let (world, _) = Fixture::new(&store).await;
        store
            .tamper(
                "WITH r AS (SELECT 'business:' || b.id AS room, h.epoch FROM businesses b, hub h), \
                 s AS (INSERT INTO room_seq (room, epoch, seq) SELECT room, epoch, 10000 FROM r) \
                 INSERT INTO room_events (room, epoch, seq, id, kind, at, data, order_id) \
                 SELECT room, epoch, n, 'e' || n, 'order_created', 0, '{}', 'o' || n FROM r, generate_series(1, 10000) n",
            )
            .await;
        let room = RoomId::Business(world.business.id);
        assert_eq!(store.store.head(room).await.unwrap().cursor.seq, EVENTS);
        let epoch = store.store.epoch().await.unwrap();
        let hasty = store.hasty();
        // On a slow machine an order may wait, but not for longer than its caller does.
        let settings = PersistenceSettings { queue_age_ms: 60_000, ..PersistenceSettings::default() };
        // One lane, so that all of it is in each other's way.
        let persistence =
            Persistence::start(&hasty, 1, &settings, Arc::new(Nobody), metrics(), FatalSignal::new());
        let persistence = persistence.await.unwrap();
        let acknowledged = AtomicBool::new(false);
        let acks = (0..DEVICES).map(|device| {
            let cursor = Cursor::new(epoch, EVENTS);
            let ack = DeviceAck { room, device: format!("till-{device}"), user: world.owner, cursor, at: now() };
            persistence.store_acks([ScopedAck { ack, reach: AckScope::Resumed(0), role: Role::Merchant }].into())
        });
        let acks = async {
            let stored = join_all(acks).await;
            acknowledged.store(true, Ordering::Relaxed);
            stored
        };
        let orders = async {
            let mut placed = 0;
            let mut pace = tokio::time::interval(Duration::from_millis(100));
            while !acknowledged.load(Ordering::Relaxed) {
                pace.tick().await;
                let order = PlaceOrder { draft: world.draft(), idempotency: None, most_waiting: None, respond };
                let outcome = persistence.place_order(order).await.expect("an order is placed");
                assert!(matches!(outcome, PlaceOutcome::Placed(_)), "{outcome:?}");
                placed += 1;
            }
            placed
        };
        let (stored, placed) = tokio::join!(acks, orders);
        assert!(placed > 0);
        assert!(stored.iter().all(Result::is_ok), "{stored:?}");
        let rows = i64::try_from(EVENTS * DEVICES).unwrap();
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, rows);
        persistence.drain().await;
        hasty.close().await;
        check(store, |_| async {}).await;
    });
}
