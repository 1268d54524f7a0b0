//! Sequences, histories and heads of rooms.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellhop::domain::cursor::{Cursor, Head};
use bellhop::domain::event::{Notification, Priority};
use bellhop::domain::ids::{BusinessId, NotificationId};
use bellhop::domain::room::RoomId;
use bellhop::storage::commands::Write;

use crate::fixtures::{Fixture, essence, now, place, run, run_one, world};

fn notification(business_id: BusinessId, title: &str) -> Notification {
    Notification {
        id: NotificationId::generate(),
        business_id,
        kind: "NOTE".to_owned(),
        title: title.to_owned(),
        message: "m\u{202e}\"'\\".to_owned(),
        data: r#"{"n": 1.5, "deep": [null, true, {"k": "\ud83c\udf55"}]}"#.parse().unwrap(),
        priority: Priority::Low,
        created_at: now(),
    }
}

fn post(notification: &Notification) -> Write {
    Write::PostNotification(Box::new(notification.clone()))
}

on_every_store! {
    async fn a_room_without_events_stands_at_the_beginning_of_the_present_epoch(store) {
        let epoch = store.store.epoch().await.unwrap();
        let room = RoomId::Business(BusinessId::generate());
        let head = store.store.head(room).await.unwrap();
        assert_eq!((head.cursor.epoch, head.cursor.seq, head.last), (epoch, 0, None));
        assert_ne!(epoch.value(), 0);
        assert_eq!(store.store.heads(&[room]).await.unwrap(), [(room, head)]);
        assert!(store.store.heads(&[]).await.unwrap().is_empty());
        assert!(store.store.events_after(room, 0, 10).await.unwrap().is_empty());
    }

    async fn lanes_that_share_rooms_leave_no_hole_and_no_double(store) {
        let mut lane = store.lane().await;
        let worlds = Arc::new([world(&mut *lane).await, world(&mut *lane).await, world(&mut *lane).await]);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..24).map(|i| {
            let (lane, worlds) = (Arc::clone(&lanes[i % lanes.len()]), Arc::clone(&worlds));
            tokio::spawn(async move {
                let mut batch: Vec<_> = (0..9).map(|k| place(worlds[(i + k) % 3].draft())).collect();
                if i % 2 == 0 { batch.reverse(); }
                run(&mut **lane.lock().await, batch).await.events
            })
        }).collect();
        let mut told: BTreeMap<RoomId, Vec<_>> = BTreeMap::new();
        for task in tasks {
            for event in task.await.unwrap() {
                told.entry(event.room).or_default().push((event.cursor.seq, essence(&event)));
            }
        }
        for (room, mut told) in told {
            told.sort();
            let read = store.store.events_after(room, 0, 1_000).await.unwrap();
            let numbers: Vec<_> = read.iter().map(|event| event.cursor.seq).collect();
            assert_eq!(numbers, (1..=read.len() as u64).collect::<Vec<_>>());
            let told: Vec<_> = told.into_iter().map(|(_, event)| event).collect();
            assert_eq!(read.iter().map(essence).collect::<Vec<_>>(), told, "what was told is what is stored");
            assert_eq!(store.store.head(room).await.unwrap().cursor.seq, read.len() as u64);
        }
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 216);
    }

    async fn order_numbers_stay_unique_under_concurrent_lanes(store) {
        let (world, _lane) = Fixture::new(&store).await;
        let world = Arc::new(world);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..20).map(|i| {
            let (lane, world) = (Arc::clone(&lanes[i % lanes.len()]), Arc::clone(&world));
            tokio::spawn(async move {
                run(&mut **lane.lock().await, (0..3).map(|_| place(world.draft())).collect()).await;
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let distinct = "SELECT count(DISTINCT order_number) FROM orders";
        assert_eq!((store.peek(distinct).await, store.peek("SELECT max(order_number) FROM orders").await), (60, 60));
    }

    async fn a_history_is_read_from_anywhere_in_order_and_bounded(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let notes: Vec<_> = (0..7).map(|i| notification(world.business.id, &format!("n{i}"))).collect();
        let committed = run(&mut *lane, notes.iter().map(post).collect()).await;
        let room = RoomId::Business(world.business.id);
        let seqs = async |after, limit| {
            let events = store.store.events_after(room, after, limit).await.unwrap();
            events.iter().map(|event| event.cursor.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(0, 3).await, [1, 2, 3]);
        assert_eq!(seqs(5, 100).await, [6, 7]);
        assert!(seqs(7, 100).await.is_empty() && seqs(99, 100).await.is_empty());
        assert!(seqs(u64::MAX, 100).await.is_empty());
        let read = store.store.events_after(room, 0, 100).await.unwrap();
        assert_eq!(read.iter().map(essence).collect::<Vec<_>>(),
            committed.events.iter().map(essence).collect::<Vec<_>>());
        let absent = RoomId::Business(BusinessId::generate());
        let heads = store.store.heads(&[absent, room]).await.unwrap();
        let begin = Cursor::new(store.store.epoch().await.unwrap(), 0);
        let (last, id) = (committed.events[6].cursor, committed.events[6].id);
        assert_eq!(heads, [(absent, Head { cursor: begin, last: None }), (room, Head { cursor: last, last: Some(id) })]);
    }

    async fn a_history_whose_beginning_is_no_longer_kept_reads_as_empty(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let notes = (0..5).map(|_| post(&notification(world.business.id, "n"))).collect();
        run(&mut *lane, notes).await;
        store.tamper("DELETE FROM room_events WHERE seq <= 2").await;
        let room = RoomId::Business(world.business.id);
        assert!(store.store.events_after(room, 1, 10).await.unwrap().is_empty());
        assert_eq!(store.store.events_after(room, 2, 10).await.unwrap().len(), 3);
    }

    async fn events_of_another_epoch_are_not_read(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        run_one(&mut *lane, post(&notification(world.business.id, "old"))).await;
        store.tamper("UPDATE hub SET epoch = 7").await;
        store.tamper("UPDATE room_seq SET epoch = 7, seq = 0").await;
        let room = RoomId::Business(world.business.id);
        assert_eq!(store.store.head(room).await.unwrap().cursor.to_string(), "00000007.0");
        assert!(store.store.events_after(room, 0, 10).await.unwrap().is_empty());
        run_one(&mut *lane, post(&notification(world.business.id, "new"))).await;
        let events = store.store.events_after(room, 0, 10).await.unwrap();
        assert_eq!(events.iter().map(|e| e.cursor.to_string()).collect::<Vec<_>>(), ["00000007.1"]);
    }

    async fn notifications_are_listed_newest_first_from_anywhere(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let notes: Vec<_> = (0..5).map(|i| notification(world.business.id, &format!("n{i}"))).collect();
        let committed = run(&mut *lane, notes.iter().map(post).collect()).await;
        assert_eq!(committed.events.len(), 5);
        let newest = store.store.notifications(world.business.id, None, 2).await.unwrap();
        assert_eq!(newest, [notes[4].clone(), notes[3].clone()]);
        let older = store.store.notifications(world.business.id, Some(notes[3].id), 10).await.unwrap();
        assert_eq!(older, [notes[2].clone(), notes[1].clone(), notes[0].clone()]);
        assert!(store.store.notifications(BusinessId::generate(), None, 2).await.unwrap().is_empty());
    }
}
