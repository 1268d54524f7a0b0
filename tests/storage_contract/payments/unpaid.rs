//! Orders that wait for their payment too long: the provider is asked first, and nothing that it has said is passed over.

use bellhop::storage::commands::{AskPaymentAgain, FireDeadline};

use super::*;
use crate::fixtures::beat;

/// Lets time pass while a node lives, then fires the order's deadline if it is due.
async fn pass(store: &TestStore, lane: &mut dyn Lane, time: Duration) -> Option<Committed> {
    let (clock, mut left) = (store.store.clock(), time);
    while left > Duration::ZERO {
        let step = left.min(S(30));
        clock.advance(step);
        left -= step;
        beat(lane).await;
    }
    let due = store.store.due_sagas(clock.now(), None, 10).await.unwrap().into_iter().next()?;
    let fire = FireDeadline { order: due.order, business: due.business, attempt: due.attempt };
    Some(run(lane, vec![Write::FireDeadline(fire)]).await)
}

on_every_store! {
    async fn an_order_that_nobody_begins_to_pay_is_cancelled_in_time(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        assert!(pass(&store, &mut *lane, S(899)).await.is_none());
        pass(&store, &mut *lane, S(2)).await.unwrap();
        let ended = now_of(&store, &order).await;
        assert_eq!((ended.status, ended.ended_reason.unwrap().code), (Status::Cancelled, EndedCode::Unpaid));
    }

    async fn an_open_payment_is_closed_at_the_provider_before_its_order_is_cancelled(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let committed = pass(&store, &mut *lane, S(901)).await.unwrap();
        assert!(committed.money_due);
        assert_eq!(now_of(&store, &order).await.status, Status::PendingPayment);
        let to_ask = store.store.payments_to_ask(store.store.clock().now(), 10).await.unwrap();
        assert_eq!((to_ask.len(), to_ask[0].payment, to_ask[0].order), (1, payment, order.id));
        let at = store.store.clock().now().plus(S(5));
        let again = AskPaymentAgain { payment, order: order.id, business: order.business_id, at };
        run_one(&mut *lane, Write::AskPaymentAgain(again)).await;
        assert_eq!(store.store.payments_to_ask(store.store.clock().now(), 10).await.unwrap(), []);
        let closed = run(&mut *lane, vec![asked(&order, news(&order, payment, NewsStatus::Failed))]).await;
        assert_eq!(closed.sagas[0].due_at, Some(closed.now), "it is cancelled at once");
        pass(&store, &mut *lane, Duration::ZERO).await.unwrap();
        let ended = now_of(&store, &order).await;
        assert_eq!((ended.status, ended.payment_status), (Status::Cancelled, PaymentStatus::Pending));
    }

    async fn an_order_that_was_paid_after_all_is_placed_when_the_provider_says_so(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        pass(&store, &mut *lane, S(901)).await.unwrap();
        run_one(&mut *lane, asked(&order, news(&order, payment, NewsStatus::Success))).await;
        assert_eq!(now_of(&store, &order).await.status, Status::Placed);
    }

    async fn without_an_answer_the_cancel_waits_fifteen_minutes_more(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        open(&mut *lane, &order).await;
        pass(&store, &mut *lane, S(901)).await.unwrap();
        pass(&store, &mut *lane, S(885)).await.unwrap();
        assert_eq!(now_of(&store, &order).await.status, Status::PendingPayment);
        pass(&store, &mut *lane, S(16)).await.unwrap();
        assert_eq!(now_of(&store, &order).await.status, Status::Cancelled);
        let now = store.store.clock().now();
        assert_eq!(store.store.payments_to_ask(now, 10).await.unwrap().len(), 1, "it is asked until it says");
    }

    async fn no_order_is_cancelled_while_something_about_its_payment_waits(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let message = ReceiveMessage {
            id: PaymentMessageId::generate(),
            key: "a".to_owned(),
            body: Private("{}".to_owned()),
            // Only the payment says whose it is.
            order: None,
            payment: Some(payment),
        };
        run_one(&mut *lane, Write::ReceiveMessage(Box::new(message))).await;
        pass(&store, &mut *lane, S(3600)).await.unwrap();
        assert_eq!(now_of(&store, &order).await.status, Status::PendingPayment);
        let due = store.store.due_messages(store.store.clock().now(), 10).await.unwrap().remove(0);
        let source = NewsSource::Message { id: due.id, attempts: due.attempts };
        let too_little = PaymentNews { amount_minor: Some(1), ..news(&order, payment, NewsStatus::Success) };
        let apply = ApplyNews { source, business: Some(order.business_id), order: Some(order.id), news: Ok(too_little) };
        run_one(&mut *lane, Write::ApplyNews(Box::new(apply))).await;
        pass(&store, &mut *lane, S(3600)).await.unwrap();
        assert_eq!(now_of(&store, &order).await.status, Status::PendingPayment, "it is a dead letter now");
        assert_eq!(store.store.open_dead_letters().await.unwrap(), 1);
    }
}
