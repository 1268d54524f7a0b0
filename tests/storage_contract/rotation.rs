//! New keys for what is sealed, and new epochs for rooms.

use std::sync::Arc;

use bellhop::domain::cursor::{Cursor, Epoch};
use bellhop::domain::ids::PaymentMessageId;
use bellhop::domain::order::Order;
use bellhop::domain::private::Private;
use bellhop::domain::room::RoomId;
use bellhop::storage::commands::{ReceiveMessage, Reseal, RowKey, SealedColumn, SetPhone, Write};
use bellhop::storage::crypto::key_rotation::{RotationError, reseal_all, rotate_epoch};
use bellhop::storage::{Lane, Store, StoreError};

use crate::fixtures::{Fixture, place_once, placed, run_one};
use crate::harness::TestStore;

/// Orders with phone, address and a kept answer each, under the keys `k0`, `k1` …
async fn orders(world: &Fixture, lane: &mut dyn Lane, count: usize) -> Vec<Order> {
    let mut orders = Vec::new();
    for i in 0..count {
        orders.push(placed(&run_one(lane, place_once(world.draft(), &format!("k{i}"), "m")).await));
    }
    orders
}

/// Every row of a column that needs an older key, in steps of two rows.
async fn outdated(store: &dyn Store, column: SealedColumn) -> Vec<RowKey> {
    let (mut outdated, mut below) = (Vec::new(), None);
    loop {
        let page = store.sealed_below(column, below.as_ref(), 2).await.unwrap();
        outdated.extend(page.outdated);
        if page.last.is_none() {
            return outdated;
        }
        below = page.last;
    }
}

async fn read_back(store: &dyn Store, world: &Fixture, orders: &[Order]) {
    for (i, order) in orders.iter().enumerate() {
        assert_eq!(store.order(order.id).await.unwrap().as_ref(), Some(order));
        let scope = format!("{}:POST /orders", world.customer);
        let kept = store.stored_response(&scope, &format!("k{i}")).await.unwrap().expect("it is kept");
        assert!(kept.body.contains("+49 30 5550123"), "{}", kept.body);
    }
}

on_every_store! {
    async fn after_a_rotation_everything_opens_without_the_old_key(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let orders = orders(&world, &mut *lane, 5).await;
        let bare = crate::fixtures::place_one(&mut *lane, bellhop::domain::order::Draft {
            phone: None, address: None, fulfilment: bellhop::domain::order::Fulfilment::Pickup, ..world.draft()
        }).await;
        let phone = SetPhone { user: world.owner, phone: Some("+351 21 555 01 99".to_owned()) };
        run_one(&mut *lane, Write::SetPhone(Box::new(phone))).await;
        let message = ReceiveMessage {
            id: PaymentMessageId::generate(), key: "a".to_owned(), body: Private("{}".to_owned()), order: None, payment: None,
        };
        crate::fixtures::run_one(&mut *lane, Write::ReceiveMessage(Box::new(message))).await;
        let driven = crate::fixtures::place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, crate::deliveries::accept_for_drivers(&driven)).await;
        let (both, new) = (store.with_keys(&["new", "test"]).await, store.with_keys(&["new"]).await);
        for column in SealedColumn::ALL {
            let expected = match column {
                SealedColumn::BusinessEmail | SealedColumn::BusinessPhone | SealedColumn::UserPhone => 1,
                SealedColumn::OrderPhone | SealedColumn::OrderAddress => 6,
                SealedColumn::StoredResponse => 5,
                SealedColumn::PaymentMessage | SealedColumn::DeliveryCode => 1,
            };
            assert_eq!(outdated(&*both, column).await.len(), expected, "{column:?}");
        }
        assert!(matches!(new.order(orders[0].id).await, Err(StoreError::Corrupt(_))), "the old key is needed before");
        let mut told = 0;
        let renewed = reseal_all(&*both, |so_far| {
            assert!(so_far.total() > told, "the progress grows");
            told = so_far.total();
        }).await.unwrap();
        assert_eq!(renewed.to_string(), "businesses.contact_email 1, businesses.contact_phone 1, deliveries.code 1, idempotency_keys.body 5, orders.address 6, orders.phone 6, payment_messages.body 1, users.phone 1");
        assert_eq!((told, renewed.total()), (22, 22));
        let driven = new.order(driven.id).await.unwrap().unwrap().delivery.unwrap();
        assert_eq!(new.delivery(driven.id).await.unwrap().unwrap().delivery.code.len(), 4);
        assert_eq!(new.due_messages(new.clock().now().plus(std::time::Duration::from_secs(60)), 10).await.unwrap()[0].body.0, "{}");
        assert_eq!(new.user_phone(world.owner).await.unwrap().as_deref(), Some("+351 21 555 01 99"));
        assert_eq!(new.business(world.business.id).await.unwrap().as_ref(), Some(&world.business));
        read_back(&*new, &world, &orders).await;
        assert_eq!(new.order(bare.id).await.unwrap(), Some(bare));
        assert_eq!(reseal_all(&*both, |_| ()).await.unwrap().total(), 0, "there is nothing left to do");
        for store in [both, new] {
            store.close().await;
        }
    }

    async fn a_walk_through_sealed_values_does_not_run_after_rows_that_are_being_written(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        orders(&world, &mut *lane, 3).await;
        let both = store.with_keys(&["new", "test"]).await;
        let first = both.sealed_below(SealedColumn::OrderPhone, None, 1).await.unwrap();
        let newer = crate::fixtures::place_one(&mut *lane, world.draft()).await.id.to_string();
        let (mut below, mut seen) = (first.last.clone(), first.outdated);
        while below.is_some() {
            let page = both.sealed_below(SealedColumn::OrderPhone, below.as_ref(), 1).await.unwrap();
            seen.extend(page.outdated);
            below = page.last;
        }
        assert!(seen.len() == 3 && seen.iter().all(|row| row.first != newer), "{seen:?}");
        let found = outdated(&*both, SealedColumn::OrderPhone).await;
        assert!(found.iter().any(|row| row.first == newer), "but the next walk finds it");
        both.close().await;
    }

    async fn whoever_still_seals_with_an_old_key_is_found_out(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        orders(&world, &mut *lane, 2).await;
        let world = Arc::new(world);
        let both = store.with_keys(&["new", "test"]).await;
        // After each transaction of the rotation, somebody who was not restarted writes once more.
        let forgotten = || {
            let (store, world) = (Arc::clone(&store), Arc::clone(&world));
            let wrote = std::thread::spawn(move || one_more(&store, &world));
            wrote.join().unwrap();
        };
        let refused = reseal_all(&*both, |_| forgotten()).await.unwrap_err();
        assert!(matches!(refused, RotationError::KeysInUse(_)), "{refused}");
        let text = refused.to_string();
        assert!(text.contains("orders.phone ") && text.contains("restart every hub"), "{text}");
        // Once that has stopped, it ends well and everything is renewed.
        assert!(reseal_all(&*both, |_| ()).await.unwrap().total() > 0);
        for column in SealedColumn::ALL {
            assert_eq!(outdated(&*both, column).await, [], "{column:?}");
        }
        both.close().await;
    }

    async fn a_rotation_without_the_old_key_says_which_one_is_missing_and_changes_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let orders = orders(&world, &mut *lane, 2).await;
        let new = store.with_keys(&["new"]).await;
        let refused = reseal_all(&*new, |_| ()).await.unwrap_err().to_string();
        assert!(refused.contains("needs the key test"), "{refused}");
        read_back(&*store.store, &world, &orders).await;
        new.close().await;
    }

    async fn a_row_that_changed_or_went_meanwhile_is_left_as_it_is(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = orders(&world, &mut *lane, 1).await.remove(0);
        let both = store.with_keys(&["new", "test"]).await;
        let mut renewing = both.open_lane().await.unwrap();
        let row = |first: &str| RowKey { first: first.to_owned(), second: String::new() };
        let rows = vec![row(&order.id.to_string()), row("ord_gone")];
        for expected in [1, 0] {
            let reseal = Write::Reseal(Reseal { column: SealedColumn::OrderPhone, rows: rows.clone() });
            let outcome = run_one(&mut *renewing, reseal).await;
            let bellhop::storage::commands::Outcome::Resealed(values) = outcome else { panic!("{outcome:?}") };
            assert_eq!(values, expected);
        }
        drop(renewing);
        both.close().await;
    }

    async fn after_a_new_epoch_rooms_go_on_counting_in_it_and_histories_from_before_are_not_shown(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = orders(&world, &mut *lane, 3).await.remove(0);
        let rooms = [RoomId::Business(world.business.id), RoomId::Order(order.id)];
        let epoch = Epoch::new(store.store.epoch().await.unwrap().value() ^ 2);
        let mut before = Vec::new();
        for room in rooms {
            before.push(store.store.head(room).await.unwrap().cursor);
        }
        assert!(before[0].seq > 0);
        let all = store.peek("SELECT count(*) FROM room_seq").await;
        assert_eq!(rotate_epoch(&*store.store, epoch).await.unwrap(), all as u64);
        assert_eq!(rotate_epoch(&*store.store, epoch).await.unwrap(), 0, "again: nothing to do");
        for (room, before) in rooms.into_iter().zip(before) {
            assert_eq!(store.store.head(room).await.unwrap().cursor, Cursor::new(epoch, before.seq));
            assert!(store.store.events_after(room, 0, 100).await.unwrap().is_empty());
        }
        assert_eq!(store.store.epoch().await.unwrap(), epoch);
        let fresh = crate::fixtures::place_one(&mut *lane, world.draft()).await;
        assert_eq!(store.store.head(RoomId::Order(fresh.id)).await.unwrap().cursor.epoch, epoch);
    }
}

/// An order of a hub with the old key alone, from a thread that has no runtime.
fn one_more(store: &TestStore, world: &Fixture) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let old = store.again().await;
        let mut lane = old.open_lane().await.unwrap();
        crate::fixtures::place_one(&mut *lane, world.draft()).await;
        drop(lane);
        old.close().await;
    });
}
