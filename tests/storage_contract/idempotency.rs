//! One key, one order, one answer.

use std::sync::Arc;
use std::time::Duration;

use bellhop::domain::business::TradingChange;
use bellhop::domain::private::Private;
use bellhop::protocol::views::{Contact, OrderView};
use bellhop::storage::commands::{
    AddItem, Addition, IdempotencyKey, Keyed, KeyedRepeat, Outcome, PlaceOutcome, StoredResponse, Write,
};

use crate::fixtures::{Fixture, item, place_once, placed, run, run_one, trade};

fn replayed(outcome: &Outcome) -> StoredResponse {
    match outcome {
        Outcome::Placed(PlaceOutcome::Replayed(kept)) => kept.clone(),
        other => panic!("expected a replay, got {other:?}"),
    }
}

fn body(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Placed(PlaceOutcome::Placed(order)) => {
            serde_json::to_string(&OrderView::new(order, Contact::Shown)).unwrap()
        }
        other => replayed(other).body,
    }
}

fn is_reused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Placed(PlaceOutcome::KeyReused))
}

on_every_store! {
    async fn the_same_request_gets_the_first_answer_in_the_same_transaction_and_later(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let same = || place_once(world.draft(), "k", "m1");
        let outcomes = run(&mut *lane, vec![same(), same()]).await.outcomes;
        let first = body(&outcomes[0]);
        assert_eq!(replayed(&outcomes[1]), StoredResponse { request_mac: "m1".to_owned(), status: 201, body: first.clone() });
        assert_eq!(replayed(&run_one(&mut *lane, same()).await).body, first);
        let scope = format!("{}:POST /orders", world.customer);
        assert_eq!(store.store.stored_response(&scope, "k").await.unwrap().unwrap().body, first);
        assert_eq!(store.store.stored_response(&scope, "other").await.unwrap(), None);
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 1);
    }

    async fn another_request_under_the_key_is_told_so(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (one, other) = (place_once(world.draft(), "k", "m1"), place_once(world.draft(), "k", "m2"));
        let outcomes = run(&mut *lane, vec![one, other.clone()]).await.outcomes;
        assert!(is_reused(&outcomes[1]));
        assert!(is_reused(&run_one(&mut *lane, other).await));
        let elsewhere = place_once(world.draft(), "another", "m2");
        placed(&run_one(&mut *lane, elsewhere).await);
    }

    async fn a_refused_request_frees_its_key(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let state = |change| trade(world.business.id, change);
        let ask = |mac| place_once(world.draft(), "k", mac);
        let closed = run(&mut *lane, vec![state(TradingChange::Closed), ask("m1")]).await.outcomes;
        assert!(matches!(closed[1], Outcome::Placed(PlaceOutcome::Refused(_))));
        assert_eq!(store.peek("SELECT count(*) FROM idempotency_keys").await, 0);
        // Refused and then answered to another request, within one transaction.
        let opened = run(&mut *lane, vec![ask("m1"), state(TradingChange::Open), ask("m2"), ask("m1")]).await;
        assert!(matches!(opened.outcomes[0], Outcome::Placed(PlaceOutcome::Refused(_))));
        placed(&opened.outcomes[2]);
        assert!(is_reused(&opened.outcomes[3]));
        assert_eq!(replayed(&run_one(&mut *lane, ask("m2")).await).request_mac, "m2");
    }

    async fn a_key_older_than_a_day_counts_as_absent(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        placed(&run_one(&mut *lane, place_once(world.draft(), "k", "m1")).await);
        store.store.clock().advance(Duration::from_secs(24 * 60 * 60 + 1));
        let scope = format!("{}:POST /orders", world.customer);
        assert_eq!(store.store.stored_response(&scope, "k").await.unwrap(), None);
        let second = placed(&run_one(&mut *lane, place_once(world.draft(), "k", "m2")).await);
        let kept = store.store.stored_response(&scope, "k").await.unwrap().unwrap();
        assert!(kept.request_mac == "m2" && kept.body.contains(&second.id.to_string()));
    }

    async fn a_hundred_at_once_make_one_order_and_a_hundred_equal_answers(store) {
        let (world, _lane) = Fixture::new(&store).await;
        let world = Arc::new(world);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..100).map(|i| {
            let (lane, world) = (Arc::clone(&lanes[i % lanes.len()]), Arc::clone(&world));
            tokio::spawn(async move {
                let action = place_once(world.draft(), "k", "m");
                body(&run_one(&mut **lane.lock().await, action).await)
            })
        }).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert_eq!(answers.len(), 100);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 1);
        assert_eq!(store.peek("SELECT count(*) FROM room_events WHERE room <> 'control'").await, 2);
    }

    async fn lanes_that_share_several_keys_do_not_wait_in_a_circle(store) {
        let (world, _lane) = Fixture::new(&store).await;
        let world = Arc::new(world);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = lanes.into_iter().enumerate().map(|(i, lane)| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for round in 0..10 {
                    let mut keys: Vec<_> = (0..8).map(|k| format!("{round}-{k}")).collect();
                    if i % 2 == 1 { keys.reverse(); }
                    let batch = keys.iter().map(|key| place_once(world.draft(), key, "m")).collect();
                    run(&mut **lane.lock().await, batch).await;
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(store.peek("SELECT count(*) FROM orders").await, 80);
    }

    async fn what_is_made_under_a_key_is_made_once_and_answered_alike(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let keyed = |key: &str, mac: &str, action: Write| {
            let key = IdempotencyKey { scope: "who POST /x".to_owned(), key: key.to_owned(), request_mac: mac.to_owned() };
            Write::Keyed(Box::new(Keyed { key, status: 201, body: Private(format!("{{\"answer to\":\"{mac}\"}}")), write: action }))
        };
        let add = |sku: &str| Write::AddItem(AddItem { business: world.business.id, item: item(sku, 5) });
        let kept = |outcome: &Outcome| match outcome {
            Outcome::Repeated(KeyedRepeat::Answered(kept)) => (kept.status, kept.body.clone()),
            other => panic!("{other:?}"),
        };
        // In one transaction, and in one after it.
        let first = run(&mut *lane, vec![
            keyed("a", "m", add("NEW")), keyed("a", "m", add("NEW")), keyed("a", "other", add("NEWER")),
            keyed("b", "n", add("SOUP")),
        ]).await.outcomes;
        assert!(matches!(first[0], Outcome::ItemAdded(Addition::Added)));
        assert_eq!(kept(&first[1]), (201, "{\"answer to\":\"m\"}".to_owned()));
        assert!(matches!(first[2], Outcome::Repeated(KeyedRepeat::KeyReused)));
        assert!(matches!(first[3], Outcome::ItemAdded(Addition::AlreadyThere)), "a refusal is not kept");
        let again = run(&mut *lane, vec![
            keyed("a", "m", add("NEW")), keyed("a", "other", add("NEWER")), keyed("b", "o", add("OTHER")),
        ]).await.outcomes;
        assert_eq!(kept(&again[0]), (201, "{\"answer to\":\"m\"}".to_owned()));
        assert!(matches!(again[1], Outcome::Repeated(KeyedRepeat::KeyReused)));
        assert!(matches!(again[2], Outcome::ItemAdded(Addition::Added)));
        assert_eq!(store.store.menu(world.business.id).await.unwrap().len(), 5);
        assert_eq!(store.peek("SELECT count(*) FROM idempotency_keys WHERE body LIKE '%answer to%'").await, 0, "sealed");
    }
}
