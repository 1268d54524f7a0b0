//! Placing orders.

use std::time::Duration;

use bellhop::domain::business::{NotTakingOrders, Timezone, TradingChange};
use bellhop::domain::event::EventType;
use bellhop::domain::ids::BusinessId;
use bellhop::domain::order::{Draft, DraftItem, Fulfilment, Party, PaymentMethod, PlaceRefusal, Status};
use bellhop::domain::room::RoomId;
use bellhop::domain::time::Timestamp;
use bellhop::storage::TimelineEvent;
use bellhop::storage::commands::{
    AddItem, BusinessPatch, ItemPatch, Outcome, PlaceOutcome, UpdateItem, Write,
};

use crate::fixtures::{Fixture, essence, item, move_to, now, place, place_one, placed, run, run_one, trade};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A zone in which the day is another one than in Tokyo.
fn other_day(now: Timestamp) -> Timezone {
    let tokyo = Timezone::parse("Asia/Tokyo").unwrap().day(now);
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago"].map(|name| Timezone::parse(name).unwrap());
    zones.into_iter().find(|zone| zone.day(now) != tokyo).unwrap()
}

fn refusal(outcome: Outcome) -> PlaceRefusal {
    match outcome {
        Outcome::Placed(PlaceOutcome::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

on_every_store! {
    async fn an_order_comes_back_exactly_as_it_was_answered(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(order.clone()));
        assert_eq!(order.phone.as_deref(), Some("+49 30 5550123"));
        assert_eq!(order.address, world.draft().address);
        let bare = bellhop::domain::order::Draft {
            phone: None, address: None, notes: None, fulfilment: Fulfilment::DineIn, table: Some(12), ..world.draft()
        };
        let bare = place_one(&mut *lane, bare).await;
        assert_eq!(store.store.order(bare.id).await.unwrap(), Some(bare));
    }

    async fn prices_come_from_the_menu(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let lines: Vec<_> = order.items.iter().map(|i| (&*i.sku, &*i.name, i.qty, i.price_minor)).collect();
        assert_eq!(lines, [("SOUP", "Dish SOUP", 2, 350), ("PIZZA-1", "Dish PIZZA-1", 1, 1200)]);
        assert_eq!((order.total_minor, order.currency), (1900, world.business.currency));
    }

    async fn a_menu_changed_earlier_in_the_same_transaction_counts(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let patch = ItemPatch { price_minor: Some(400), ..ItemPatch::default() };
        let change = Write::UpdateItem(UpdateItem { business: world.business.id, sku: "SOUP".to_owned(), patch });
        let outcomes = run(&mut *lane, vec![place(world.draft()), change, place(world.draft())]).await.outcomes;
        assert_eq!((placed(&outcomes[0]).total_minor, placed(&outcomes[2]).total_minor), (1900, 2000));
    }

    async fn large_amounts_survive(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let dear = item("DEAR", 999_999_999_999);
        run_one(&mut *lane, Write::AddItem(AddItem { business: world.business.id, item: dear })).await;
        let mut draft = world.draft();
        draft.items = vec![DraftItem { sku: "DEAR".to_owned(), qty: 1 }];
        let order = place_one(&mut *lane, draft).await;
        assert_eq!(store.store.order(order.id).await.unwrap().unwrap().total_minor, 999_999_999_999);
    }

    async fn every_refusal_is_given_and_leaves_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut unknown = world.draft();
        unknown.items = vec![
            DraftItem { sku: "SOUP".to_owned(), qty: 1 }, DraftItem { sku: "NO".to_owned(), qty: 1 },
        ];
        let mut gone = world.draft();
        gone.items = vec![DraftItem { sku: "GONE".to_owned(), qty: 1 }];
        let mut dear = world.draft();
        dear.items = vec![DraftItem { sku: "PIZZA-1".to_owned(), qty: u32::MAX }];
        let mut nowhere = world.draft();
        nowhere.business_id = BusinessId::generate();
        let mut table = world.draft();
        table.table = Some(13);
        let mut standing = world.draft();
        standing.fulfilment = Fulfilment::DineIn;
        let mut dearer = world.draft();
        dearer.expected_total_minor = Some(1899);
        let refused = run(&mut *lane, vec![
            place(unknown), place(gone), place(dear), place(nowhere), place(table), place(standing), place(dearer),
        ]).await;
        assert!(refused.events.is_empty());
        let refused: Vec<_> = refused.outcomes.into_iter().map(refusal).collect();
        assert_eq!(refused, [
            PlaceRefusal::UnknownItems(vec![1]),
            PlaceRefusal::UnavailableItems(vec![0]),
            PlaceRefusal::TooExpensive,
            PlaceRefusal::NoSuchBusiness,
            PlaceRefusal::NoSuchTable,
            PlaceRefusal::TableMissing,
            PlaceRefusal::PriceChanged { total_minor: 1900, currency: world.business.currency },
        ]);
        let until = now().plus(std::time::Duration::from_secs(600));
        for (state, expected) in [
            (TradingChange::Closed, NotTakingOrders::Closed),
            (TradingChange::Paused { until: Some(until) }, NotTakingOrders::Paused(until)),
        ] {
            let close = trade(world.business.id, state);
            let outcomes = run(&mut *lane, vec![close, place(world.draft())]).await.outcomes;
            let answer = refusal(outcomes.into_iter().nth(1).unwrap());
            assert_eq!(answer, PlaceRefusal::NotTakingOrders(expected));
        }
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 0);
        assert_eq!(store.peek("SELECT count(*) FROM order_counters").await, 0);
    }

    async fn a_pause_that_has_run_out_takes_orders(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let until = Some(Timestamp::from_unix_seconds(1));
        run_one(&mut *lane, trade(world.business.id, TradingChange::Paused { until })).await;
        place_one(&mut *lane, world.draft()).await;
    }

    async fn orders_are_numbered_without_gaps_for_each_business_and_day(store) {
        let (one, mut lane) = Fixture::new(&store).await;
        let other = crate::fixtures::world(&mut *lane).await;
        let drafts = vec![place(one.draft()), place(other.draft()), place(one.draft())];
        let first = run(&mut *lane, drafts).await.outcomes;
        let numbers: Vec<_> = first.iter().map(|o| placed(o).order_number).collect();
        assert_eq!(numbers, [1, 1, 2]);
        let third = place_one(&mut *lane, one.draft()).await;
        assert_eq!(third.order_number, 3);
        for order in [&placed(&first[0]), &placed(&first[2]), &third] {
            run_one(&mut *lane, move_to(order, Status::Rejected)).await;
        }
        store.store.clock().advance(DAY);
        assert_eq!(place_one(&mut *lane, one.draft()).await.order_number, 1);
    }

    async fn a_number_that_an_open_order_has_is_left_out(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(place_one(&mut *lane, world.draft()).await);
        }
        // The second has ended; the others are still open on the next day.
        run_one(&mut *lane, move_to(&open[1], Status::Rejected)).await;
        let numbers = |committed: &bellhop::storage::commands::Committed| -> Vec<u32> {
            committed.outcomes.iter().map(|outcome| placed(outcome).order_number).collect()
        };
        store.store.clock().advance(DAY);
        let next = run(&mut *lane, (0..3).map(|_| place(world.draft())).collect()).await;
        assert_eq!(numbers(&next), [2, 5, 6]);
        // In a transaction in which the day of the business changes.
        let patch = BusinessPatch { timezone: Some(other_day(store.store.clock().now())), ..BusinessPatch::default() };
        let zone = crate::fixtures::update(world.business.id, patch);
        let later = run(&mut *lane, vec![place(world.draft()), zone, place(world.draft())]).await;
        let placed: Vec<u32> = [0, 2].into_iter().map(|n| placed(&later.outcomes[n]).order_number).collect();
        assert!(placed == [7, 8] || placed == [8, 7], "of two days at once: {placed:?}");
        assert_eq!(store.peek("SELECT count(DISTINCT order_number) FROM orders WHERE status = 'placed'").await, 8);
    }

    async fn in_which_capacity_an_order_was_placed_is_written_down(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, Draft { placed_by: Party::Member, ..world.draft() }).await;
        let timeline = store.store.timeline(order.id).await.unwrap();
        let TimelineEvent::Moved { party, from: None, .. } = timeline[0].what else { panic!("{timeline:?}") };
        assert_eq!(party, Party::Member);
    }

    async fn the_business_hears_what_its_kitchen_needs_and_the_orders_room_does_not(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let committed = run(&mut *lane, vec![move_to(&order, Status::Accepted)]).await;
        let data: Vec<serde_json::Value> =
            committed.events.iter().map(|e| serde_json::from_str(e.data.as_str()).unwrap()).collect();
        let kitchen = serde_json::json!({
            "items": [
                {"sku": "SOUP", "name": "Dish SOUP", "qty": 2}, {"sku": "PIZZA-1", "name": "Dish PIZZA-1", "qty": 1},
            ],
            "notes": "ring twice\n\"please\"", "payment": {"method": "cash", "status": "pending", "version": 1},
            "prep_minutes": 25, "ready_at": committed.events[0].at.plus(std::time::Duration::from_secs(25 * 60)),
        });
        for (name, value) in kitchen.as_object().unwrap() {
            assert_eq!(&data[0][name], value, "{name}");
            assert!(data[1].get(name).is_none(), "{name}");
        }
        for (event, told) in committed.events.iter().zip(&data) {
            let text = told.to_string();
            assert!(!text.contains("5550123") && !text.contains("Linden"), "{}: {text}", event.room);
        }
    }

    async fn both_rooms_and_the_notification_follow_in_the_same_commit(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        let order = placed(&committed.outcomes[0]);
        let rooms: Vec<_> = committed.events.iter().map(|e| (e.room, e.kind.clone(), e.cursor.seq)).collect();
        assert_eq!(rooms, [
            (RoomId::Business(world.business.id), EventType::OrderCreated.into(), 1),
            (RoomId::Order(order.id), EventType::OrderCreated.into(), 1),
        ]);
        for event in &committed.events {
            let read = store.store.events_after(event.room, 0, 10).await.unwrap();
            assert_eq!(read.iter().map(essence).collect::<Vec<_>>(), [essence(event)]);
        }
        let notifications = store.store.notifications(world.business.id, None, 10).await.unwrap();
        assert_eq!(notifications.len(), 1);
        assert_eq!(notifications[0].message, "Order #001 from 王小明 Müller");
        let data: serde_json::Value = serde_json::from_str(committed.events[0].data.as_str()).unwrap();
        assert_eq!(data["notification"], serde_json::json!(notifications[0]));
        assert_eq!(data["item_count"], 3);
        assert_eq!(store.peek("SELECT count(*) FROM order_events").await, 1);
    }

    async fn an_order_that_waits_for_payment_is_not_announced(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut draft = world.draft();
        draft.payment = PaymentMethod::Online;
        let committed = run(&mut *lane, vec![place(draft)]).await;
        assert_eq!(placed(&committed.outcomes[0]).status, Status::PendingPayment);
        assert!(committed.events.is_empty());
        assert!(store.store.notifications(world.business.id, None, 10).await.unwrap().is_empty());
    }

    async fn an_order_can_be_placed_and_moved_in_one_transaction(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let draft = world.draft();
        let mut expected = place_one(&mut *lane, world.draft()).await;
        expected.id = draft.id;
        let accept = move_to(&expected, Status::Accepted);
        let committed = run(&mut *lane, vec![place(draft.clone()), accept]).await;
        let Outcome::Moved(Ok(moved)) = &committed.outcomes[1] else { panic!("{committed:?}") };
        assert_eq!(placed(&committed.outcomes[0]).status, Status::Placed);
        assert_eq!((moved.status, moved.version, moved.order_number), (Status::Accepted, 2, 2));
        assert_eq!(store.store.order(draft.id).await.unwrap().as_ref(), Some(&**moved));
        let seqs: Vec<_> = committed.events.iter().map(|e| e.cursor.seq).collect();
        assert_eq!(seqs, [2, 1, 3, 2]);
    }
}
