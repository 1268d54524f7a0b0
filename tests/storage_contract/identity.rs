//! A database that is an older copy of the one this node knew: found out before it gives a number, and once.

use std::sync::Arc;

use bellhop::domain::cursor::{Cursor, Epoch};
use bellhop::domain::ids::BusinessId;
use bellhop::domain::order::Order;
use bellhop::domain::room::RoomId;
use bellhop::storage::Lane;
use bellhop::storage::commands::{EpochChange, Expirable, Outcome, Purge, RotateRoom, Write};

use crate::fixtures::{Fixture, now, place, place_one, run, run_one, world};
use crate::harness::TestStore;

async fn head(store: &TestStore, room: RoomId) -> Cursor {
    store.store.head(room).await.unwrap().cursor
}

fn alarms(store: &TestStore, cause: &str) -> u64 {
    store.metrics.epoch_rotations_total.with_label_values(&[cause]).get()
}

async fn rotate(lane: &mut dyn Lane, room: RoomId, seen: Epoch, epoch: Epoch) -> EpochChange {
    match run_one(lane, Write::RotateRoom(RotateRoom { room, seen, epoch })).await {
        Outcome::RoomRotated(change) => change,
        other => panic!("{other:?}"),
    }
}

/// Two businesses with three orders each, and the last order of the second.
async fn two_businesses(store: &TestStore) -> (Fixture, Fixture, Order) {
    let (first, mut lane) = Fixture::new(store).await;
    let second = world(&mut *lane).await;
    let mut last = None;
    for _ in 0..3 {
        place_one(&mut *lane, first.draft()).await;
        last = Some(place_one(&mut *lane, second.draft()).await);
    }
    (first, second, last.expect("there are three"))
}

on_every_store! {
    async fn a_new_connection_to_an_older_copy_renews_epochs_before_it_gives_a_number(store) {
        let (first, second, lost) = two_businesses(&store).await;
        let rooms = [&first, &second].map(|world| RoomId::Business(world.business.id));
        let before = [head(&store, rooms[0]).await, head(&store, rooms[1]).await];
        let epoch = before[0].epoch;
        // The copy lacks the last order of the second business, with the room of that order.
        store.tamper(
            "DELETE FROM room_seq WHERE room = (SELECT 'order:' || id FROM orders ORDER BY id DESC LIMIT 1)",
        ).await;
        store.tamper("UPDATE room_seq SET seq = 2 WHERE room = (SELECT 'business:' || business_id FROM orders \
                      ORDER BY id DESC LIMIT 1)").await;
        store.tamper("DELETE FROM room_events WHERE order_id = (SELECT id FROM orders ORDER BY id DESC LIMIT 1)")
            .await;
        let mut lane = store.lane().await;
        assert_eq!(alarms(&store, "store_behind"), 2, "the business's room and the order's");
        let committed = run(&mut *lane, vec![place(first.draft()), place(second.draft())]).await;
        let of = |room| committed.events.iter().find(|event| event.room == room).unwrap().cursor;
        assert_eq!(of(rooms[0]), Cursor::new(epoch, 4), "nothing of the first is missing");
        assert_eq!(of(rooms[1]).seq, 3, "the number is given again");
        assert_ne!(of(rooms[1]).epoch, epoch, "but in another epoch");
        // Neither does a room that is not there begin in the old one.
        assert_ne!(store.store.epoch().await.unwrap(), epoch);
        assert_ne!(head(&store, RoomId::Order(lost.id)).await.epoch, epoch);
        store.lane().await;
        assert_eq!(alarms(&store, "store_behind"), 2, "it is found once");
    }

    async fn a_copy_that_has_given_the_number_to_another_event_is_found_out(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        for _ in 0..3 {
            place_one(&mut *lane, world.draft()).await;
        }
        let room = RoomId::Business(world.business.id);
        let before = head(&store, room).await;
        // It has gone on, further than it was known.
        store.tamper("UPDATE room_events SET id = 'evt_00000000000000000000000000000001' \
                      WHERE room LIKE 'business:%' AND seq = 3").await;
        store.tamper("UPDATE room_seq SET seq = 9 WHERE room LIKE 'business:%'").await;
        store.lane().await;
        let after = head(&store, room).await;
        assert_eq!((after.seq, alarms(&store, "other_event"), alarms(&store, "store_behind")), (9, 1, 0));
        assert_ne!(after.epoch, before.epoch);
    }

    async fn what_retention_deleted_is_not_missed(store) {
        let (first, _, _) = two_businesses(&store).await;
        let mut lane = store.lane().await;
        let before = head(&store, RoomId::Business(first.business.id)).await;
        let hour = std::time::Duration::from_secs(3600);
        run_one(&mut *lane, Write::Purge(Purge { what: Expirable::RoomEvents, before: now().plus(hour), limit: 100 })).await;
        store.lane().await;
        assert_eq!(head(&store, RoomId::Business(first.business.id)).await, before);
        assert_eq!(alarms(&store, "store_behind") + alarms(&store, "other_event"), 0);
    }

    async fn a_room_gets_one_new_epoch_however_many_notice(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        place_one(&mut *lane, world.draft()).await;
        let empty = RoomId::Business(BusinessId::generate());
        for room in [RoomId::Business(world.business.id), empty] {
            let seen = head(&store, room).await;
            let lanes = store.lanes().await;
            let tasks: Vec<_> = (0..8).map(|i| {
                let lane = Arc::clone(&lanes[i % lanes.len()]);
                tokio::spawn(async move {
                    rotate(&mut **lane.lock().await, room, seen.epoch, seen.epoch.successor()).await
                })
            }).collect();
            let (mut made, mut heads) = (0, Vec::new());
            for task in tasks {
                let (EpochChange::Made(head) | EpochChange::NotNeeded(head)) = match task.await.unwrap() {
                    change @ EpochChange::Made(_) => { made += 1; change }
                    change @ EpochChange::NotNeeded(_) => change,
                };
                heads.push(head);
            }
            let after = head(&store, room).await;
            assert_eq!((made, after.seq), (1, seen.seq), "{room}");
            assert_ne!(after.epoch, seen.epoch);
            assert_eq!(heads, [after; 8], "everybody is told the same");
        }
    }
}
