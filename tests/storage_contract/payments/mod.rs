//! Money: payments, refunds, and what the provider says, each with everything that follows in the same commit.

use std::time::Duration;

use bellhop::domain::event::EventType;
use bellhop::domain::ids::{PaymentId, PaymentMessageId, RefundId, UserId};
use bellhop::domain::order::{Draft, EndedCode, Order, PaymentMethod, PaymentStatus, Status};
use bellhop::domain::payment::{
    InitiateRefusal, MoneyWay, NewsRefusal, NewsStatus, OrderMoney, PaymentNews, PaymentState, RecordRefusal,
    Recorded, RefundAnswer, RefundCause, RefundDemand, RefundRefusal, RefundState, RefundStep,
};
use bellhop::domain::private::Private;
use bellhop::domain::room::RoomId;
use bellhop::storage::commands::{
    ApplyNews, BeginRefund, Committed, DemandRefund, InitiateOutcome, InitiatePayment, NewsOutcome,
    NewsSource, Outcome, PaymentOpened, Receipt, ReceiveMessage, RecordOutcome, RecordPayment,
    RefundAnswered, RefundBegun, Write,
};
use bellhop::storage::{DueMessage, Lane};

use crate::fixtures::{Fixture, move_to, place_one, run, run_one};
use crate::harness::{TestStore, check};

mod held_copy;
mod messages;
mod overdue;
mod refunds;
mod settled;
mod unpaid;

const S: fn(u64) -> Duration = Duration::from_secs;

/// An order that waits for its payment.
async fn waiting(world: &Fixture, lane: &mut dyn Lane) -> Order {
    place_one(lane, Draft { payment: PaymentMethod::Online, ..world.draft() }).await
}

fn initiate(order: &Order) -> Write {
    Write::InitiatePayment(InitiatePayment {
        order: order.id,
        business: order.business_id,
        payment: PaymentId::generate(),
        user: order.customer_id,
    })
}

/// Begins a payment, or gives the open one.
async fn open(lane: &mut dyn Lane, order: &Order) -> PaymentId {
    match run_one(lane, initiate(order)).await {
        Outcome::PaymentInitiated(InitiateOutcome::Open { payment, .. }) => payment,
        other => panic!("expected a payment, got {other:?}"),
    }
}

fn news(order: &Order, payment: PaymentId, status: NewsStatus) -> PaymentNews {
    let (amount_minor, currency, refund, is_foreign) = (None, None, None, false);
    PaymentNews { payment, order: order.id, status, amount_minor, currency, refund, is_foreign }
}

/// News that the provider told when it was asked.
fn asked(order: &Order, news: PaymentNews) -> Write {
    Write::ApplyNews(Box::new(ApplyNews {
        source: NewsSource::Asked,
        business: Some(order.business_id),
        order: Some(order.id),
        news: Ok(news),
    }))
}

fn applied(outcome: &Outcome) -> NewsOutcome {
    match outcome {
        Outcome::NewsApplied(outcome) => *outcome,
        other => panic!("expected what news did, got {other:?}"),
    }
}

/// An order that was paid online and placed.
async fn paid(world: &Fixture, lane: &mut dyn Lane) -> (Order, PaymentId) {
    let order = waiting(world, lane).await;
    let payment = open(lane, &order).await;
    let outcome = run_one(lane, asked(&order, news(&order, payment, NewsStatus::Success))).await;
    assert_eq!(applied(&outcome), NewsOutcome::Applied);
    (order, payment)
}

async fn now_of(store: &TestStore, order: &Order) -> Order {
    store.store.order(order.id).await.unwrap().unwrap()
}

async fn money(store: &TestStore, order: &Order) -> OrderMoney {
    store.store.money_of(order.id).await.unwrap()
}

fn record(order: &Order, way: MoneyWay) -> Write {
    let (id, reference, user) = (PaymentId::generate(), Some("T-1".to_owned()), UserId::generate());
    let recorded = Recorded { id, way, reference, user };
    Write::RecordPayment(Box::new(RecordPayment { order: order.id, business: order.business_id, recorded }))
}

fn told(committed: &Committed, room: RoomId) -> Vec<String> {
    let in_room = committed.events.iter().filter(|event| event.room == room);
    in_room.map(|event| event.kind.as_str().to_owned()).collect()
}

on_every_store! {
    async fn a_payment_is_begun_once_and_read_back_as_it_was_written(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let outcomes = run(&mut *lane, vec![initiate(&order), initiate(&order)]).await.outcomes;
        let [Outcome::PaymentInitiated(first), Outcome::PaymentInitiated(second)] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        let InitiateOutcome::Open { payment, is_new: true, amount_minor, redirect_url: None } = first else {
            panic!("{first:?}")
        };
        assert_eq!(*amount_minor, order.total_minor);
        assert!(matches!(second, InitiateOutcome::Open { payment: same, is_new: false, .. } if same == payment));
        let opened = PaymentOpened {
            payment: *payment, order: order.id, business: order.business_id,
            reference: Some("pi_1".to_owned()), redirect_url: "https://pay.example/1".to_owned(),
        };
        run_one(&mut *lane, Write::PaymentOpened(Box::new(opened))).await;
        let kept = money(&store, &order).await;
        let stored = kept.open().unwrap();
        assert_eq!((stored.id, stored.state, stored.way), (*payment, PaymentState::Initiated, MoneyWay::Online));
        assert_eq!((stored.amount_minor, stored.currency, stored.user), (order.total_minor, order.currency, world.customer));
        assert_eq!(stored.reference.as_deref(), Some("pi_1"));
        assert_eq!(stored.redirect_url.as_deref(), Some("https://pay.example/1"));
        assert_eq!(now_of(&store, &order).await, order, "the order still waits");
        let cash = place_one(&mut *lane, world.draft()).await;
        let refused = run_one(&mut *lane, initiate(&cash)).await;
        assert!(matches!(refused, Outcome::PaymentInitiated(InitiateOutcome::Refused(InitiateRefusal::NotOnline))));
    }

    async fn success_places_the_order_in_the_same_commit_and_both_rooms_hear_of_it(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let success = || asked(&order, news(&order, payment, NewsStatus::Success));
        let committed = run(&mut *lane, vec![success(), success()]).await;
        for room in [RoomId::Business(order.business_id), RoomId::Order(order.id)] {
            assert_eq!(told(&committed, room), ["order_created", "payment_received"], "{room}");
        }
        let event = committed.events.iter().find(|event| event.kind == EventType::PaymentReceived).unwrap();
        let data: serde_json::Value = serde_json::from_str(event.data.as_str()).unwrap();
        assert_eq!(data["payment_id"], payment.to_string());
        assert_eq!(data["amount_minor"], order.total_minor);
        assert_eq!((&data["method"], &data["payment_version"]), (&"online".into(), &2.into()));
        let placed = now_of(&store, &order).await;
        assert_eq!((placed.status, placed.payment_status), (Status::Placed, PaymentStatus::Paid));
        assert!(placed.placed_at.is_some() && placed.deadline_at.is_some());
        assert_eq!(committed.sagas.len(), 1, "its alert begins");
        assert_eq!(money(&store, &order).await.kept_minor(), order.total_minor);
    }

    async fn success_after_the_end_makes_a_refund_due_in_the_same_commit(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let committed = run(&mut *lane, vec![move_to(&order, Status::Cancelled)]).await;
        assert!(committed.money_due, "the open payment is closed at the provider");
        let now = store.store.clock().now();
        assert_eq!(store.store.payments_to_ask(now, 10).await.unwrap()[0].payment, payment);
        let committed = run(&mut *lane, vec![asked(&order, news(&order, payment, NewsStatus::Success))]).await;
        assert!(committed.money_due);
        assert_eq!(told(&committed, RoomId::Order(order.id)), ["payment_received"]);
        let ended = now_of(&store, &order).await;
        assert_eq!((ended.status, ended.payment_status), (Status::Cancelled, PaymentStatus::RefundDue));
        let due = store.store.due_refunds(store.store.clock().now(), 10).await.unwrap();
        assert_eq!((due.len(), due[0].order, due[0].zone.as_str()), (1, order.id, "centre"));
        assert_eq!(store.store.payments_to_ask(store.store.clock().now(), 10).await.unwrap(), []);
    }

    async fn an_order_that_is_refused_owes_what_was_paid_in_the_commit_of_the_move(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, payment) = paid(&world, &mut *lane).await;
        let placed = now_of(&store, &order).await;
        let committed = run(&mut *lane, vec![move_to(&placed, Status::Rejected)]).await;
        assert!(committed.money_due);
        let refused = now_of(&store, &order).await;
        assert_eq!((refused.status, refused.payment_status), (Status::Rejected, PaymentStatus::RefundDue));
        let refunds = money(&store, &order).await.refunds().to_vec();
        assert_eq!(refunds.len(), 1);
        assert_eq!((refunds[0].payment, refunds[0].cause, refunds[0].state), (payment, RefundCause::Automatic, RefundState::Due));
        assert_eq!(refunds[0].amount_minor, order.total_minor);
    }

    async fn a_payment_recorded_by_a_person_places_the_order_and_waits_for_a_hand_to_go_back(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let open = open(&mut *lane, &order).await;
        let recorded = run_one(&mut *lane, record(&order, MoneyWay::Terminal)).await;
        let Outcome::PaymentRecorded(RecordOutcome::Recorded(placed)) = recorded else { panic!("{recorded:?}") };
        assert_eq!((placed.status, placed.payment_status), (Status::Placed, PaymentStatus::Paid));
        assert_eq!(now_of(&store, &order).await, *placed);
        let now = store.store.clock().now();
        assert_eq!(store.store.payments_to_ask(now, 10).await.unwrap()[0].payment, open);
        let again = run_one(&mut *lane, record(&order, MoneyWay::Cash)).await;
        assert!(matches!(again, Outcome::PaymentRecorded(RecordOutcome::Refused(RecordRefusal::Paid))));
        run_one(&mut *lane, move_to(&placed, Status::Rejected)).await;
        assert_eq!(now_of(&store, &order).await.payment_status, PaymentStatus::RefundDue);
        assert_eq!(store.store.due_refunds(now.plus(S(90_000)), 10).await.unwrap(), []);
        let listed = store.store.refunds(None, None, 10).await.unwrap();
        assert_eq!((listed.len(), listed[0].paid_by, listed[0].refund.way), (1, MoneyWay::Terminal, MoneyWay::Terminal));
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action = 'payment_recorded'").await, 1);
    }

    async fn cash_at_hand_over_needs_no_row_of_money(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, Draft {
            fulfilment: bellhop::domain::order::Fulfilment::Pickup, address: None, ..world.draft()
        }).await;
        let statements = || store.metrics.render().lines()
            .filter(|line| line.starts_with("database_operations_total") && (line.contains("\"payments\"") || line.contains("\"refunds\"")))
            .map(str::to_owned).collect::<Vec<_>>();
        let before = statements();
        for status in [Status::Accepted, Status::Ready, Status::Delivered] {
            let moved = now_of(&store, &order).await;
            run_one(&mut *lane, move_to(&moved, status)).await;
        }
        assert_eq!(now_of(&store, &order).await.payment_status, PaymentStatus::Paid);
        assert_eq!(statements(), before);
    }
}
