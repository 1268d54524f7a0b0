//! Moving orders.

use std::sync::Arc;

use bellhop::domain::business::TradingChange;
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::event::EventType;
use bellhop::domain::order::{MoveRefusal, MoveRequest, Order, Party, Status};
use bellhop::storage::commands::{Aftermath, BusinessPatch, MoveError, MoveOrder, Outcome, Write};

use crate::fixtures::{Fixture, move_to, place, place_one, run, run_one};

fn moved(outcome: Outcome) -> Result<bellhop::domain::order::Order, MoveError> {
    match outcome {
        Outcome::Moved(result) => result.map(|order| *order),
        other => panic!("expected a move, got {other:?}"),
    }
}

on_every_store! {
    async fn a_move_changes_the_order_and_tells_both_rooms(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let committed = run(&mut *lane, vec![move_to(&order, Status::Accepted)]).await;
        let accepted = moved(committed.outcomes.into_iter().next().unwrap()).unwrap();
        assert_eq!((accepted.status, accepted.version, accepted.prep_minutes), (Status::Accepted, 2, Some(25)));
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(accepted));
        assert!(committed.events.iter().all(|e| e.kind == EventType::OrderUpdated && e.cursor.seq == 2));
        assert_eq!(committed.events.len(), 2);
        let written = "SELECT count(*) FROM order_events WHERE from_status = 'placed' AND to_status = 'accepted' \
                       AND reason = 'because' AND party = 'member' AND version = 2";
        assert_eq!(store.peek(written).await, 1);
    }

    async fn several_moves_of_one_order_in_a_transaction_see_each_other(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut order = place_one(&mut *lane, world.draft()).await;
        let mut actions = Vec::new();
        for to in [Status::Accepted, Status::Preparing, Status::Ready] {
            actions.push(move_to(&order, to));
            order.version += 1;
        }
        let committed = run(&mut *lane, actions).await;
        let versions: Vec<_> = committed.outcomes.into_iter().map(|o| moved(o).unwrap().version).collect();
        assert_eq!(versions, [2, 3, 4]);
        let stored = store.store.order(order.id).await.unwrap().unwrap();
        assert_eq!((stored.status, stored.version), (Status::Ready, 4));
        assert_eq!(store.peek("SELECT count(*) FROM order_events").await, 4);
    }

    async fn refused_moves_change_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let mut stale = order.clone();
        stale.version = 7;
        let request = MoveRequest { party: Party::Customer, to: Status::Accepted, version: 1, prep_minutes: None, delivered_by: None };
        let theirs = Write::MoveOrder(MoveOrder { order: order.id, business: order.business_id, user: None, request, reason: None, aftermath: Aftermath::Usual });
        let mut absent = order.clone();
        absent.id = bellhop::domain::ids::OrderId::generate();
        let committed = run(&mut *lane, vec![
            move_to(&stale, Status::Accepted), move_to(&order, Status::Ready), theirs,
            move_to(&absent, Status::Accepted),
        ]).await;
        assert!(committed.events.is_empty());
        let answers: Vec<_> = committed.outcomes.into_iter().map(|o| moved(o).unwrap_err()).collect();
        assert_eq!(answers, [
            MoveError::Refused(MoveRefusal::Stale { current: 1, status: Status::Placed }),
            MoveError::Refused(MoveRefusal::Forbidden {
                from: Status::Placed,
                allowed: vec![Status::Accepted, Status::Rejected, Status::Cancelled],
            }),
            MoveError::Refused(MoveRefusal::NotTheirMove),
            MoveError::NoSuchOrder,
        ]);
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(order));
    }

    async fn a_move_to_where_it_is_answers_the_order_and_announces_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let accepted = moved(run_one(&mut *lane, move_to(&order, Status::Accepted)).await).unwrap();
        let again = run(&mut *lane, vec![move_to(&accepted, Status::Accepted)]).await;
        assert!(again.events.is_empty());
        assert_eq!(moved(again.outcomes.into_iter().next().unwrap()).unwrap(), accepted);
    }

    async fn of_racing_moves_exactly_one_wins(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = Arc::new(place_one(&mut *lane, world.draft()).await);
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..40).map(|i| {
            let (lane, order) = (Arc::clone(&lanes[i % lanes.len()]), Arc::clone(&order));
            let to = if i % 2 == 0 { Status::Accepted } else { Status::Rejected };
            tokio::spawn(async move { moved(run_one(&mut **lane.lock().await, move_to(&order, to)).await) })
        }).collect();
        let (mut won, mut losers) = (0, Vec::new());
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(MoveError::Refused(MoveRefusal::Stale { current, status })) => losers.push((current, status)),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(won, 1);
        let stored = store.store.order(order.id).await.unwrap().unwrap();
        assert_eq!(stored.version, 2);
        assert!(losers.iter().all(|told| *told == (2, stored.status)), "all are told who won");
    }

    async fn what_a_business_takes_when_it_accepts_counts_also_when_it_changed_just_before(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let [order, other] = [place_one(&mut *lane, world.draft()).await, place_one(&mut *lane, world.draft()).await];
        let busy = crate::fixtures::update(world.business.id, BusinessPatch {
            trading: Some(TradingChange::Busy { extra_minutes: 15 }), delivered_by: Some(DeliveredBy::Drivers),
            ..BusinessPatch::default()
        });
        let accept = |order: &Order| {
            let request = MoveRequest {
                party: Party::Member, to: Status::Accepted, version: 1, prep_minutes: None, delivered_by: None,
            };
            Write::MoveOrder(MoveOrder { order: order.id, business: order.business_id, user: None, request, reason: None, aftermath: Aftermath::Usual })
        };
        let fresh = world.draft();
        let mut placed = order.clone();
        placed.id = fresh.id;
        let committed = run(&mut *lane, vec![accept(&order), busy, accept(&other), place(fresh), accept(&placed)]).await;
        let outcomes: Vec<_> = committed.outcomes.into_iter().collect();
        for (place, minutes, by) in [
            (0, 20, DeliveredBy::Business), (2, 35, DeliveredBy::Drivers), (4, 35, DeliveredBy::Drivers),
        ] {
            let order = moved(outcomes[place].clone()).unwrap();
            let ready_at = order.updated_at.plus(std::time::Duration::from_secs(60 * u64::from(minutes)));
            assert_eq!((order.prep_minutes, order.delivered_by), (Some(minutes), Some(by)), "{place}");
            assert_eq!(order.ready_at, Some(ready_at));
            assert_eq!(store.store.order(order.id).await.unwrap(), Some(order));
        }
    }

    async fn how_an_order_ended_is_stored_and_told_to_both_rooms(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let committed = run(&mut *lane, vec![move_to(&order, Status::Rejected)]).await;
        for event in &committed.events {
            let data: serde_json::Value = serde_json::from_str(event.data.as_str()).unwrap();
            assert_eq!(data["ended_reason"], serde_json::json!({"code": "merchant", "text": "because"}));
        }
        let rejected = moved(committed.outcomes.into_iter().next().unwrap()).unwrap();
        assert_eq!((rejected.version, rejected.delivery_version, rejected.payment_version), (2, 2, 1));
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(rejected));
    }
}
