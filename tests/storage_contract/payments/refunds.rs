//! Refunds on their way, demanded, given by hand and late.

use bellhop::storage::commands::{HandleRefund, RefundLate, RefundWish};

use super::*;

pub(super) fn begin(order: &Order, refund: RefundId, attempt: u32) -> Write {
    Write::BeginRefund(BeginRefund { refund, order: order.id, business: order.business_id, attempt })
}

fn begun(outcome: Outcome) -> Option<RefundBegun> {
    match outcome {
        Outcome::RefundBegun(begun) => begun,
        other => panic!("expected a refund, got {other:?}"),
    }
}

pub(super) fn answered(order: &Order, refund: RefundId, attempt: u32, answer: RefundAnswer) -> Write {
    Write::RefundAnswered(Box::new(RefundAnswered {
        refund,
        order: order.id,
        business: order.business_id,
        attempt,
        answer,
    }))
}

fn done() -> RefundAnswer {
    RefundAnswer::Done { reference: Some("re_1".to_owned()) }
}

fn demand(order: &Order, amount_minor: Option<i64>, by_hand: Option<MoneyWay>) -> Write {
    let demand = RefundDemand {
        id: RefundId::generate(),
        amount_minor,
        reason: Some("the soup was cold".to_owned()),
        by_hand,
        reference: None,
        user: UserId::generate(),
    };
    Write::DemandRefund(Box::new(DemandRefund { order: order.id, business: order.business_id, demand }))
}

fn handle(order: &Order, refund: RefundId, wish: RefundWish) -> Write {
    let user = UserId::generate();
    Write::HandleRefund(Box::new(HandleRefund {
        refund,
        order: order.id,
        business: order.business_id,
        wish,
        user,
    }))
}

/// An order that was paid and refused, with the refund that is due.
pub(super) async fn owed(store: &TestStore, world: &Fixture, lane: &mut dyn Lane) -> (Order, RefundId) {
    let (order, _) = paid(world, lane).await;
    let placed = now_of(store, &order).await;
    run_one(lane, move_to(&placed, Status::Rejected)).await;
    let refund = money(store, &order).await.refunds()[0].id;
    (order, refund)
}

async fn state(store: &TestStore, refund: RefundId) -> RefundState {
    store.store.refund(refund).await.unwrap().unwrap().refund.state
}

on_every_store! {
    async fn a_refund_is_begun_by_one_and_done_with_its_events(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, refund) = owed(&store, &world, &mut *lane).await;
        let outcomes = run(&mut *lane, vec![begin(&order, refund, 0), begin(&order, refund, 0)]).await.outcomes;
        let mut outcomes = outcomes.into_iter().map(begun);
        let first = outcomes.next().unwrap().unwrap();
        assert_eq!((first.step, first.attempt, first.amount_minor), (RefundStep::Send, 1, order.total_minor));
        assert_eq!((first.key.as_str(), first.currency), (refund.to_string().as_str(), order.currency));
        assert_eq!(outcomes.next().unwrap(), None, "another one saw it due as well");
        assert_eq!(state(&store, refund).await, RefundState::Sent);
        assert_eq!(store.store.due_refunds(store.store.clock().now(), 10).await.unwrap(), []);
        let committed = run(&mut *lane, vec![answered(&order, refund, 1, done())]).await;
        for room in [RoomId::Business(order.business_id), RoomId::Order(order.id)] {
            assert_eq!(told(&committed, room), ["payment_refunded"], "{room}");
        }
        let refunded = now_of(&store, &order).await;
        assert_eq!((refunded.status, refunded.payment_status), (Status::Rejected, PaymentStatus::Refunded));
        let kept = money(&store, &order).await;
        assert_eq!((kept.kept_minor(), kept.refunds()[0].reference.as_deref()), (0, Some("re_1")));
        assert_eq!(store.store.refunds(None, None, 10).await.unwrap(), []);
        let succeeded = store.store.refunds(Some(RefundState::Succeeded), None, 10).await.unwrap();
        assert_eq!(succeeded.len(), 1);
    }

    async fn a_refund_of_a_node_that_died_is_due_again_and_looked_up(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, refund) = owed(&store, &world, &mut *lane).await;
        run_one(&mut *lane, begin(&order, refund, 0)).await;
        store.store.clock().advance(S(30));
        let due = store.store.due_refunds(store.store.clock().now(), 10).await.unwrap();
        assert_eq!((due.len(), due[0].attempt), (1, 1));
        let again = begun(run_one(&mut *lane, begin(&order, refund, 1)).await).unwrap();
        assert_eq!((again.step, again.attempt), (RefundStep::LookUp, 2));
        run_one(&mut *lane, answered(&order, refund, 1, RefundAnswer::Refused)).await;
        assert_eq!(state(&store, refund).await, RefundState::Sent, "the first attempt says nothing any more");
        run_one(&mut *lane, answered(&order, refund, 2, RefundAnswer::NoAnswer)).await;
        assert_eq!(state(&store, refund).await, RefundState::Unknown);
    }

    async fn a_refund_that_failed_alarms_and_ends_by_a_retry_or_a_hand(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        for by_hand in [false, true] {
            let (order, refund) = owed(&store, &world, &mut *lane).await;
            run_one(&mut *lane, begin(&order, refund, 0)).await;
            let committed = run(&mut *lane, vec![answered(&order, refund, 1, RefundAnswer::Refused)]).await;
            let alarm = committed.events.iter().find(|event| event.room == RoomId::Ops).unwrap();
            assert!(alarm.data.as_str().contains("REFUND_FAILED"), "{}", alarm.data.as_str());
            let failed = store.store.refunds(Some(RefundState::Failed), None, 10).await.unwrap();
            assert_eq!((failed.len(), failed[0].refund.id), (1, refund));
            if by_hand {
                let settle = RefundWish::Settle { way: MoneyWay::Transfer, reference: Some("B-7".to_owned()) };
                run_one(&mut *lane, handle(&order, refund, settle)).await;
            } else {
                let committed = run(&mut *lane, vec![handle(&order, refund, RefundWish::Retry)]).await;
                assert!(committed.money_due);
                let again = begun(run_one(&mut *lane, begin(&order, refund, 1)).await).unwrap();
                assert_eq!((again.step, again.key), (RefundStep::SendAgain, format!("{refund}.1")));
                run_one(&mut *lane, answered(&order, refund, 2, done())).await;
            }
            assert_eq!(state(&store, refund).await, RefundState::Succeeded);
            assert_eq!(now_of(&store, &order).await.payment_status, PaymentStatus::Refunded);
            let refused = run_one(&mut *lane, handle(&order, refund, RefundWish::Retry)).await;
            let expected = RefundRefusal::NotNow { state: RefundState::Succeeded };
            assert!(matches!(refused, Outcome::RefundChanged(Some(Err(refusal))) if refusal == expected));
        }
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action IN ('refund_retried', 'refund_settled')").await, 2);
    }

    async fn operators_are_told_once_of_a_refund_that_is_not_done_in_an_hour(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, refund) = owed(&store, &world, &mut *lane).await;
        let now = store.store.clock().now();
        assert_eq!(store.store.late_refunds(now, 10).await.unwrap(), []);
        store.store.clock().advance(S(3601));
        assert_eq!(store.store.late_refunds(store.store.clock().now(), 10).await.unwrap()[0].refund, refund);
        let late = || Write::RefundLate(RefundLate { refund, order: order.id, business: order.business_id });
        let committed = run(&mut *lane, vec![late(), late()]).await;
        assert_eq!(told(&committed, RoomId::Ops), ["notification"]);
        assert_eq!(store.store.late_refunds(store.store.clock().now(), 10).await.unwrap(), []);
        assert_eq!(store.store.refunds(None, None, 10).await.unwrap().len(), 1, "it stays in the list");
    }

    async fn refunds_are_demanded_by_amount_and_never_more_than_was_captured(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, payment) = paid(&world, &mut *lane).await;
        for amount in [900, 900] {
            let outcome = run_one(&mut *lane, demand(&order, Some(amount), None)).await;
            assert!(matches!(outcome, Outcome::RefundChanged(Some(Ok(_)))), "{outcome:?}");
        }
        let refused = run_one(&mut *lane, demand(&order, Some(101), None)).await;
        let expected = RefundRefusal::TooMuch { left_minor: 100 };
        assert!(matches!(refused, Outcome::RefundChanged(Some(Err(refusal))) if refusal == expected), "{refused:?}");
        let kept = money(&store, &order).await;
        assert_eq!((kept.refunds().len(), kept.promised_minor(payment)), (2, 1800));
        assert_eq!(kept.refunds()[0].reason.as_deref(), Some("the soup was cold"));
        // The order is refused now: only the rest is due by itself.
        let placed = now_of(&store, &order).await;
        run_one(&mut *lane, move_to(&placed, Status::Rejected)).await;
        let amounts: Vec<_> = money(&store, &order).await.refunds().iter().map(|one| (one.cause, one.amount_minor)).collect();
        assert_eq!(amounts, [(RefundCause::Demanded, 900), (RefundCause::Demanded, 900), (RefundCause::Automatic, 100)]);
        let unknown = Order { id: bellhop::domain::ids::OrderId::generate(), ..order };
        let none = run_one(&mut *lane, demand(&unknown, None, None)).await;
        assert!(matches!(none, Outcome::RefundChanged(None)));
    }

    async fn money_that_went_back_without_a_request_tells_operators_and_later_refunds_send_the_rest(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, payment) = paid(&world, &mut *lane).await;
        let back = PaymentNews { amount_minor: Some(500), ..news(&order, payment, NewsStatus::Refunded) };
        let committed = run(&mut *lane, vec![asked(&order, back)]).await;
        assert_eq!(told(&committed, RoomId::Ops), ["notification"]);
        let placed = now_of(&store, &order).await;
        assert_eq!(placed.payment_status, PaymentStatus::Paid);
        run_one(&mut *lane, move_to(&placed, Status::Rejected)).await;
        let refunds: Vec<_> = money(&store, &order).await.refunds().iter().map(|one| (one.cause, one.amount_minor)).collect();
        assert_eq!(refunds, [(RefundCause::Outside, 500), (RefundCause::Automatic, 1400)]);
    }
}

#[tokio::test]
async fn on_sqlite_the_constraints_keep_books_that_code_would_break() {
    check(TestStore::sqlite().await, |store| async move {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, _) = owed(&store, &world, &mut *lane).await;
        drop(lane);
        let crate::harness::Place::Sqlite { path, .. } = &store.place else { panic!("it is a file") };
        let url = format!("sqlite://{}", path.display());
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
        for sql in [
            "UPDATE payments SET promised_minor = promised_minor + 1",
            "UPDATE payments SET refunded_minor = 1",
            "INSERT INTO refunds (id, payment_id, order_id, business_id, amount_minor, cause, way, state, created_at, updated_at) \
             SELECT 'ref_2', payment_id, order_id, business_id, 1, 'automatic', way, state, 0, 0 FROM refunds",
        ] {
            assert!(sqlx::Executor::execute(&mut connection, sql).await.is_err(), "{sql}");
        }
        assert_eq!(money(&store, &order).await.refunds().len(), 1);
    })
    .await;
}
