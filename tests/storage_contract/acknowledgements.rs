//! How far devices are.

use bellhop::domain::access::Role;
use bellhop::domain::cursor::{Cursor, Epoch};
use bellhop::domain::room::RoomId;
use bellhop::storage::TimelineEvent;
use bellhop::storage::commands::{AckScope, DeviceAck, DeviceMark, MarkKind, Outcome, ScopedAck, Write};

use crate::fixtures::{Fixture, now, place, placed, run, run_one};

/// As a device sends them that was there from the beginning.
fn stored(acks: impl IntoIterator<Item = DeviceAck>) -> Write {
    let received = |ack| ScopedAck { ack, reach: AckScope::After(0), role: Role::Merchant };
    Write::StoreAcks(acks.into_iter().map(received).collect())
}

on_every_store! {
    async fn a_position_only_moves_forward_within_an_epoch(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let room = RoomId::Business(world.business.id);
        let epoch = store.store.epoch().await.unwrap();
        let ack = |epoch: Epoch, seq| DeviceAck {
            room, device: "till".to_owned(), user: world.owner, cursor: Cursor::new(epoch, seq), at: now(),
        };
        assert_eq!(store.store.device_ack(room, "till").await.unwrap(), None);
        let first = ack(epoch, 5);
        run_one(&mut *lane, stored([ack(epoch, 3), first.clone(), ack(epoch, 4)])).await;
        assert_eq!(store.store.device_ack(room, "till").await.unwrap(), Some(first.clone()));
        run_one(&mut *lane, stored([ack(epoch, 4)])).await;
        assert_eq!(store.store.device_ack(room, "till").await.unwrap(), Some(first));
        let next = Epoch::new(epoch.value() ^ 1);
        run_one(&mut *lane, stored([ack(next, 1)])).await;
        assert_eq!(store.store.device_ack(room, "till").await.unwrap().unwrap().cursor, Cursor::new(next, 1));
        run_one(&mut *lane, Write::StoreAcks([].into())).await;
    }

    async fn the_first_acknowledgement_of_each_order_by_each_device_is_kept(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let room = RoomId::Business(world.business.id);
        let orders = (0..4).map(|_| place(world.draft())).collect();
        let committed = run(&mut *lane, orders).await;
        let (order, events) = (placed(&committed.outcomes[0]).id, committed.events);
        let cursor = |seq| events.iter().find(|e| e.room == room && e.cursor.seq == seq).unwrap().cursor;
        let ack = |device: &str, seq, at| stored([DeviceAck {
            room, device: device.to_owned(), user: world.owner, cursor: cursor(seq),
            at: bellhop::domain::time::Timestamp::from_micros(at),
        }]);
        run_one(&mut *lane, ack("till", 2, 100)).await;
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, 2);
        run_one(&mut *lane, ack("till", 4, 200)).await;
        run_one(&mut *lane, ack("phone", 4, 300)).await;
        run_one(&mut *lane, ack("till", 4, 400)).await;
        assert_eq!(store.peek("SELECT count(*) FROM order_acks WHERE device = 'till' AND at = 100").await, 2);
        assert_eq!(store.peek("SELECT count(*) FROM order_acks WHERE device = 'till' AND at = 200").await, 2);
        assert_eq!(store.peek("SELECT count(*) FROM order_acks WHERE device = 'phone' AND at = 300").await, 4);
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, 8);
        let users: Vec<_> = store.store.timeline(order).await.unwrap().into_iter().filter_map(|entry| match entry.what {
            TimelineEvent::Acknowledged { user, .. } => Some(user),
            _ => None,
        }).collect();
        assert_eq!(users, [Some(world.owner), Some(world.owner)], "who was signed in on the device");
    }

    async fn nobody_acknowledges_orders_from_before_they_came(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let room = RoomId::Business(world.business.id);
        run(&mut *lane, (0..9).map(|_| place(world.draft())).collect()).await;
        let epoch = store.store.epoch().await.unwrap();
        let new = "SELECT count(*) FROM order_acks WHERE device = 'new'";
        let by_cursor = "SELECT count(*) FROM order_acks WHERE device = 'by cursor'";
        let ack = |device: &str, seq, reach| {
            let cursor = Cursor::new(epoch, seq);
            let ack = DeviceAck { room, device: device.to_owned(), user: world.owner, cursor, at: now() };
            ScopedAck { ack, reach, role: Role::Merchant }
        };
        run_one(&mut *lane, Write::StoreAcks([ack("new", 4, AckScope::After(3))].into())).await;
        run_one(&mut *lane, Write::StoreAcks([ack("by cursor", 4, AckScope::Resumed(2))].into())).await;
        assert_eq!((store.peek(new).await, store.peek(by_cursor).await), (1, 2));
        // One goes on where it was and had no time to acknowledge 5; the other was away and begins at the end.
        let both = vec![ack("by cursor", 6, AckScope::Resumed(5)), ack("new", 9, AckScope::After(8))];
        run_one(&mut *lane, Write::StoreAcks(both.into())).await;
        assert_eq!((store.peek(new).await, store.peek(by_cursor).await), (2, 4));
        let last = "SELECT count(*) FROM order_acks a JOIN room_events e ON e.order_id = a.order_id \
             AND e.kind = 'order_created' WHERE a.device = 'new' AND e.seq = 9";
        assert_eq!(store.peek(last).await, 1);
        // What two sockets of a device acknowledged one after the other and is stored together.
        let both = vec![ack("two", 2, AckScope::After(1)), ack("two", 9, AckScope::After(7))];
        run_one(&mut *lane, Write::StoreAcks(both.into())).await;
        assert_eq!(store.peek("SELECT count(*) FROM order_acks WHERE device = 'two'").await, 3);
        assert_eq!(store.store.device_ack(room, "two").await.unwrap().unwrap().cursor.seq, 9);
    }

    async fn acknowledgements_of_an_orders_own_room_are_not_the_merchants(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let events = run(&mut *lane, vec![place(world.draft())]).await.events;
        let own = &events[1];
        let ack = DeviceAck {
            room: own.room, device: "customer".to_owned(), user: world.customer, cursor: own.cursor, at: now(),
        };
        run_one(&mut *lane, stored([ack.clone()])).await;
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, 0);
        assert_eq!(store.store.device_ack(own.room, "customer").await.unwrap(), Some(ack));
    }

    async fn an_operator_who_watches_a_business_is_no_device_of_it(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        store.tamper("UPDATE businesses SET auto_accept = TRUE").await;
        let event = run(&mut *lane, vec![place(world.draft())]).await.events.remove(0);
        let ack = |device: &str, role| {
            let (user, at) = (world.owner, now());
            let ack = DeviceAck { room: event.room, device: device.to_owned(), user, cursor: event.cursor, at };
            Write::StoreAcks([ScopedAck { ack, reach: AckScope::After(0), role }].into())
        };
        let watched = run(&mut *lane, vec![ack("board", Role::Admin)]).await;
        assert!(watched.sagas.is_empty(), "nothing has arrived at the business that it could accept");
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, 0);
        assert_eq!(store.store.device_ack(event.room, "board").await.unwrap().unwrap().cursor, event.cursor);
        let heard = run(&mut *lane, vec![ack("till", Role::Merchant)]).await;
        assert_eq!((heard.sagas.len(), store.peek("SELECT count(*) FROM order_acks").await), (1, 1));
    }

    async fn many_acknowledgements_are_stored_in_pieces_and_nothing_is_left_out(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let room = RoomId::Business(world.business.id);
        run(&mut *lane, (0..600).map(|_| place(world.draft())).collect()).await;
        let epoch = store.store.epoch().await.unwrap();
        let acks: std::sync::Arc<[ScopedAck]> = (0..4).map(|device| {
            let ack = DeviceAck {
                room, device: format!("till-{device}"), user: world.owner, cursor: Cursor::new(epoch, 600), at: now(),
            };
            ScopedAck { ack, reach: AckScope::Resumed(0), role: Role::Merchant }
        }).collect();
        let mut transactions = 1;
        while let Outcome::AcksLeft = run_one(&mut *lane, Write::StoreAcks(acks.clone())).await {
            transactions += 1;
        }
        assert!((2..10).contains(&transactions), "{transactions}");
        assert_eq!(store.peek("SELECT count(*) FROM order_acks").await, 2_400);
        assert_eq!(store.peek("SELECT count(*) FROM device_acks WHERE seq = 600").await, 4);
    }

    async fn a_mark_is_kept_once_for_each_kind(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let event = run(&mut *lane, vec![place(world.draft())]).await.events.remove(0);
        let mark = |kind| Write::StoreMark(DeviceMark {
            room: event.room, device: "till".to_owned(), user: world.owner, role: Role::Merchant, cursor: event.cursor, kind, at: now(),
        });
        run(&mut *lane, vec![mark(MarkKind::Shown), mark(MarkKind::Shown), mark(MarkKind::Acted)]).await;
        run_one(&mut *lane, mark(MarkKind::Shown)).await;
        assert_eq!(store.peek("SELECT count(*) FROM device_marks").await, 2);
    }
}
