//! Deadlines of orders: fired once, at their time, with everything that follows in the same commit.

use std::sync::Arc;
use std::time::Duration;

use bellhop::domain::access::Role;
use bellhop::domain::cursor::Cursor;
use bellhop::domain::event::EventType;
use bellhop::domain::ids::UserId;
use bellhop::domain::order::{
    Draft, EndedCode, Fulfilment, MoveRequest, Order, Party, PaymentMethod, PlaceRefusal, Status,
};
use bellhop::domain::room::RoomId;
use bellhop::domain::saga::{Clocks, DeadlineKind, RingKind, Rung};
use bellhop::domain::time::Timestamp;
use bellhop::protocol::event::RoomEvent;
use bellhop::storage::commands::{
    AckScope, AnswerState, BusinessPatch, Command, Committed, DeviceAck, DeviceMark, FinishIntent,
    FireDeadline, FireOutcome, IntentResult, Lease, MarkKind, Outcome, PlaceOutcome, SagaDue, ScopedAck,
    TakeInOrders, Write,
};
use bellhop::storage::{Attempt, DuePlace, Lane};

use crate::fixtures::{
    Fixture, beat, command, move_to, now, place, place_one, placed, renewal, run, run_one, update, user, wish,
};
use crate::harness::{TestStore, check};

mod held_copy;
mod outages;
mod pauses;
mod releases;
mod signals;

const S: fn(u64) -> Duration = Duration::from_secs;

fn fire(due: &SagaDue) -> Write {
    Write::FireDeadline(FireDeadline { order: due.order, business: due.business, attempt: due.attempt })
}

fn fired(outcome: &Outcome) -> &FireOutcome {
    match outcome {
        Outcome::Fired(fired) => fired,
        other => panic!("expected a deadline, got {other:?}"),
    }
}

/// The commits of everything that comes due within a time, each at its moment, while a node lives.
async fn live(store: &TestStore, lane: &mut dyn Lane, during: Duration) -> Vec<Committed> {
    let (clock, mut commits) = (store.store.clock(), Vec::new());
    let end = clock.now().plus(during);
    loop {
        let now = clock.now();
        let due = store.store.due_sagas(now, None, 100).await.unwrap();
        if !due.is_empty() {
            commits.push(run(lane, due.iter().map(fire).collect()).await);
            continue;
        }
        if now >= end {
            return commits;
        }
        let next = store.store.next_saga_due(now).await.unwrap().filter(|next| *next <= end);
        let (now, next) = (clock.now(), next.unwrap_or(end));
        clock.advance(next.since(now).min(S(30)));
        beat(lane).await;
    }
}

fn outcomes(commits: &[Committed]) -> Vec<&FireOutcome> {
    commits.iter().flat_map(|commit| &commit.outcomes).map(fired).collect()
}

fn rungs(commits: &[Committed]) -> Vec<Rung> {
    outcomes(commits)
        .into_iter()
        .filter_map(|fired| fired.report.as_ref())
        .flat_map(|r| r.rungs.clone())
        .collect()
}

async fn order(store: &TestStore, order: &Order) -> Order {
    store.store.order(order.id).await.unwrap().unwrap()
}

/// A customer of the same business.
async fn another(lane: &mut dyn Lane) -> UserId {
    let customer = user(Role::Customer);
    let id = customer.id;
    run_one(lane, Write::CreateUser(Box::new(customer))).await;
    id
}

async fn place_by_another(world: &Fixture, lane: &mut dyn Lane) -> Order {
    let customer_id = another(lane).await;
    place_one(lane, Draft { customer_id, ..world.draft() }).await
}

fn by(party: Party, order: &Order, to: Status) -> Write {
    let request = MoveRequest { party, to, version: order.version, prep_minutes: None, delivered_by: None };
    wish(order, request)
}

fn acknowledged(world: &Fixture, cursor: Cursor) -> Write {
    let (room, device) = (RoomId::Business(world.business.id), "till".to_owned());
    let ack = DeviceAck { room, device, user: world.owner, cursor, at: now() };
    Write::StoreAcks([ScopedAck { ack, reach: AckScope::After(0), role: Role::Merchant }].into())
}

on_every_store! {
    async fn an_order_that_nobody_answers_climbs_its_ladder_and_is_cancelled(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let placed_at = order.placed_at.unwrap();
        assert_eq!((placed_at, order.deadline_at), (order.created_at, Some(placed_at.plus(S(480)))));
        assert_eq!(store.store.order(order.id).await.unwrap(), Some(order.clone()));
        let commits = live(&store, &mut *lane, S(479)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Placed);
        let climbed: Vec<Rung> = rungs(&commits).into_iter().filter(|rung| *rung != Rung::Ring).collect();
        assert_eq!(climbed, [Rung::Undelivered, Rung::Mail, Rung::Escalate, Rung::Call]);
        let rings: Vec<_> = commits.iter().flat_map(|commit| &commit.rings).collect();
        // Each follows fifteen seconds after the one before was written, which takes its time on a slow machine.
        assert!((30..=32).contains(&rings.len()), "{}", rings.len());
        assert!(rings.iter().all(|due| due.ring.kind == RingKind::Placed && due.order == order.id
            && due.order_number == order.order_number && due.ring.deadline_at == order.deadline_at));
        assert_eq!(store.peek("SELECT rings FROM order_sagas").await, i64::try_from(rings.len()).unwrap());
        assert!(store.peek("SELECT last_ring_at - first_ring_at FROM order_sagas").await >= 450_000_000);
        assert_eq!(commits.iter().map(|commit| commit.intents).sum::<u32>(), 4, "one mail is enough");
        let commits = live(&store, &mut *lane, S(600)).await;
        assert_eq!(commits.len(), 1, "{commits:?}");
        let done = outcomes(&commits)[0];
        let report = done.report.as_ref().unwrap();
        assert_eq!((report.kind, report.answer), (DeadlineKind::Accept, AnswerState::Unanswered));
        assert_eq!((report.due_at, report.moved_from), (placed_at.plus(S(480)), Some(Status::Placed)));
        let ended = crate::sagas::order(&store, &order).await;
        assert_eq!(done.moved.as_deref(), Some(&ended));
        assert_eq!((ended.status, ended.version, ended.deadline_at), (Status::Cancelled, 2, None));
        assert_eq!(ended.ended_reason.unwrap().code, EndedCode::Unanswered);
        let told: Vec<_> = commits[0].events.iter().map(|event| (event.room, event.kind.clone())).collect();
        assert_eq!(told, [
            (RoomId::Business(world.business.id), EventType::OrderCancelled.into()),
            (RoomId::Order(order.id), EventType::OrderCancelled.into()),
            (RoomId::Ops, EventType::Notification.into()),
        ]);
        assert_eq!(done.left.unwrap().due_at, None);
        let system = "SELECT count(*) FROM order_events WHERE party = 'system' AND to_status = 'cancelled'";
        assert_eq!(store.peek(system).await, 1);
    }

    async fn of_two_who_fire_a_deadline_one_changes_something(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        let due = committed.sagas[0];
        assert_eq!((due.order, due.business, due.attempt), (placed(&committed.outcomes[0]).id, world.business.id, 1));
        assert_eq!(due.due_at, Some(committed.now.plus(S(5))));
        let early = run(&mut *lane, vec![fire(&due)]).await;
        assert!(fired(&early.outcomes[0]).report.is_none());
        assert_eq!((fired(&early.outcomes[0]).left, early.sagas), (Some(due), vec![due]), "it is told when it is due");
        store.store.clock().advance(S(5));
        let both = run(&mut *lane, vec![fire(&due), fire(&due)]).await;
        let done: Vec<bool> = both.outcomes.iter().map(|outcome| fired(outcome).report.is_some()).collect();
        assert_eq!(done, [true, false]);
        assert_eq!((both.sagas.len(), both.sagas[0].attempt), (1, 2));
        store.store.clock().advance(S(10));
        let next = both.sagas[0];
        let lanes = store.lanes().await;
        let tasks: Vec<_> = (0..20).map(|i| {
            let lane = Arc::clone(&lanes[i % lanes.len()]);
            tokio::spawn(async move {
                let outcome = run_one(&mut **lane.lock().await, fire(&next)).await;
                fired(&outcome).report.is_some()
            })
        }).collect();
        let mut won = 0;
        for task in tasks {
            won += u32::from(task.await.unwrap());
        }
        assert_eq!((won, store.peek("SELECT rings FROM order_sagas").await), (1, 2));
    }

    async fn an_answer_ends_the_alert_and_begins_the_clocks_of_the_kitchen(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, Draft { fulfilment: Fulfilment::Pickup, ..world.draft() }).await;
        let rings = live(&store, &mut *lane, S(30)).await;
        assert!(!rings.is_empty());
        let committed = run(&mut *lane, vec![move_to(&order, Status::Accepted)]).await;
        let accepted = crate::sagas::order(&store, &order).await;
        assert_eq!(accepted.answered_at, Some(committed.now));
        let ready_at = accepted.ready_at.unwrap();
        assert_eq!(committed.sagas[0].due_at, Some(ready_at.plus(S(20 * 60))));
        assert_eq!(accepted.deadline_at, Some(committed.now.plus(S(12 * 3600))));
        let late = live(&store, &mut *lane, ready_at.since(committed.now) + S(61 * 60)).await;
        assert!(late.iter().all(|commit| commit.rings.is_empty()), "an answered order rings no more");
        let told: Vec<_> = late.iter().flat_map(|commit| &commit.events)
            .map(|event| (event.room, event.kind.clone())).collect();
        assert_eq!(told, [RoomId::Business(world.business.id), RoomId::Ops]
            .map(|room| (room, EventType::Notification.into())));
        let ended = live(&store, &mut *lane, S(12 * 3600 + 180)).await;
        let end = outcomes(&ended).pop().unwrap();
        assert_eq!(end.report.as_ref().unwrap().kind, DeadlineKind::Forgotten);
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Delivered);
        assert_eq!(store.store.next_saga_due(Timestamp::default()).await.unwrap(), None);
    }

    async fn a_deadline_in_the_transaction_of_an_answer_comes_too_late(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        let (order, due) = (placed(&committed.outcomes[0]), committed.sagas[0]);
        store.store.clock().advance(S(5));
        let both = run(&mut *lane, vec![move_to(&order, Status::Rejected), fire(&due)]).await;
        assert!(fired(&both.outcomes[1]).report.is_none());
        assert_eq!(both.sagas, [SagaDue { attempt: 2, due_at: None, ..due }]);
        assert_eq!(store.peek("SELECT count(*) FROM intents").await, 0);
    }

    async fn an_unpaid_order_is_cancelled_after_its_time(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, Draft { payment: PaymentMethod::Online, ..world.draft() }).await;
        assert_eq!((order.status, order.placed_at), (Status::PendingPayment, None));
        assert_eq!(order.deadline_at, Some(order.created_at.plus(S(900))));
        live(&store, &mut *lane, S(901)).await;
        let ended = crate::sagas::order(&store, &order).await;
        assert_eq!((ended.status, ended.ended_reason.unwrap().code), (Status::Cancelled, EndedCode::Unpaid));
    }

    async fn what_is_due_is_read_in_pages_the_oldest_first(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        for _ in 0..3 {
            run(&mut *lane, (0..3).map(|_| place(world.draft())).collect()).await;
            store.store.clock().advance(S(1));
        }
        let clock = store.store.clock();
        assert!(store.store.due_sagas(clock.now(), None, 10).await.unwrap().is_empty());
        clock.advance(S(10));
        let all = store.store.due_sagas(clock.now(), None, 100).await.unwrap();
        assert_eq!(all.len(), 9);
        assert!(all.is_sorted_by_key(|due| (due.due_at, due.order)));
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = store.store.due_sagas(clock.now(), after, 4).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.due_at.map(|due_at| DuePlace { due_at, order: last.order });
            pages.extend(page);
        }
        assert_eq!(pages, all);
        assert_eq!(store.store.next_saga_due(Timestamp::default()).await.unwrap(), all[0].due_at);
    }

    async fn a_deadline_whose_commit_had_no_answer_is_fired_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        live(&store, &mut *lane, S(479)).await;
        store.store.clock().advance(S(1));
        let due = store.store.due_sagas(store.store.clock().now(), None, 10).await.unwrap()[0];
        let command = command(fire(&due));
        let first = lane.run(std::slice::from_ref(&command), Attempt::First).await.unwrap();
        let again = lane.run(&[command], Attempt::AfterUnknown).await.unwrap();
        let (first, again) = (fired(&first.outcomes[0]), fired(&again.outcomes[0]));
        assert_eq!((&again.report, &again.moved, again.now), (&first.report, &first.moved, first.now));
        assert_eq!(again.moved.as_ref().unwrap().id, placed(&committed.outcomes[0]).id);
        assert_eq!(store.peek("SELECT count(*) FROM order_events").await, 2);
    }
}

/// Deadlines, answers and changes of the same businesses, from every lane in whatever order.
#[tokio::test]
async fn on_postgres_deadlines_and_answers_of_many_lanes_never_wait_in_a_circle() {
    check(TestStore::postgres().await, |store| async move {
        let (mut worlds, mut orders) = (Vec::new(), Vec::new());
        let mut lane = store.lane().await;
        for _ in 0..4 {
            worlds.push(crate::fixtures::world(&mut *lane).await);
        }
        for _ in 0..10 {
            let drafts = worlds.iter().map(|world| place(world.draft())).collect();
            orders.extend(run(&mut *lane, drafts).await.outcomes.iter().map(placed));
        }
        store.store.clock().advance(S(16));
        let due = Arc::new(store.store.due_sagas(store.store.clock().now(), None, 100).await.unwrap());
        let (orders, lanes) = (Arc::new(orders), store.lanes().await);
        let tasks: Vec<_> = (0..lanes.len())
            .map(|n| {
                let (lane, due, orders) = (Arc::clone(&lanes[n]), Arc::clone(&due), Arc::clone(&orders));
                tokio::spawn(async move {
                    for round in 0..10 {
                        let mut writes: Vec<Write> = due.iter().map(fire).collect();
                        writes.extend(orders.iter().map(|order| move_to(order, Status::Accepted)));
                        writes.rotate_left((7 * (n + round)) % 60);
                        let commands: Vec<Command> = writes.into_iter().take(40).map(command).collect();
                        lane.lock().await.run(&commands, Attempt::First).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(store.peek(deadlocks).await, 0);
    })
    .await;
}
