//! Payments that succeed after their business stopped taking orders, and writes that are done once for a key.

use bellhop::domain::business::{PauseCause, TradingChange};
use bellhop::storage::commands::{IdempotencyKey, Keyed, KeyedRepeat, Lease};

use crate::fixtures::{renewal, trade};

use super::*;

fn leases(world: &Fixture, devices: u32) -> Write {
    let lease = Lease { business: world.business.id, devices };
    renewal(vec![lease])
}

on_every_store! {
    async fn a_payment_for_a_closed_business_cancels_and_refunds_in_one_commit(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        run_one(&mut *lane, trade(order.business_id, TradingChange::Closed)).await;
        let committed = run(&mut *lane, vec![asked(&order, news(&order, payment, NewsStatus::Success))]).await;
        assert!(committed.money_due && committed.rings.is_empty());
        assert!(!told(&committed, RoomId::Business(order.business_id)).contains(&"order_created".to_owned()));
        let ended = now_of(&store, &order).await;
        assert_eq!((ended.status, ended.payment_status), (Status::Cancelled, PaymentStatus::RefundDue));
        assert_eq!(ended.ended_reason.unwrap().code, EndedCode::BusinessClosed);
        assert_eq!(money(&store, &order).await.refunds().len(), 1);
    }

    async fn in_a_pause_by_hand_an_order_is_placed_if_a_device_can_ring(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        run_one(&mut *lane, leases(&world, 1)).await;
        let until = store.store.clock().now().plus(S(3600));
        for (seconds, expected) in [(0, Status::Placed), (60, Status::Cancelled)] {
            let order = {
                run_one(&mut *lane, trade(world.business.id, TradingChange::Open)).await;
                waiting(&world, &mut *lane).await
            };
            let payment = open(&mut *lane, &order).await;
            run_one(&mut *lane, trade(world.business.id, TradingChange::Paused { until: Some(until) })).await;
            let paused = store.store.business(world.business.id).await.unwrap().unwrap();
            assert!(paused.pauses.of(PauseCause::Manual, store.store.clock().now()).is_some());
            store.store.clock().advance(S(seconds));
            run_one(&mut *lane, asked(&order, news(&order, payment, NewsStatus::Success))).await;
            assert_eq!(now_of(&store, &order).await.status, expected, "{seconds} s after the last lease");
        }
    }

    async fn a_write_of_money_is_done_once_for_a_key(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, _) = paid(&world, &mut *lane).await;
        let keyed = |mac: &str| {
            let demand = RefundDemand {
                id: RefundId::generate(), amount_minor: Some(100), reason: None, by_hand: None, reference: None,
                user: UserId::generate(),
            };
            let write = Write::DemandRefund(Box::new(DemandRefund { order: order.id, business: order.business_id, demand }));
            let key = IdempotencyKey { scope: "s".to_owned(), key: "k".to_owned(), request_mac: mac.to_owned() };
            Write::Keyed(Box::new(Keyed { key, status: 201, body: Private("made".to_owned()), write }))
        };
        let outcomes = run(&mut *lane, vec![keyed("m"), keyed("m"), keyed("other")]).await.outcomes;
        assert!(matches!(outcomes[0], Outcome::RefundChanged(Some(Ok(_)))), "{outcomes:?}");
        assert!(matches!(&outcomes[1], Outcome::Repeated(KeyedRepeat::Answered(kept)) if kept.body == "made"));
        assert!(matches!(outcomes[2], Outcome::Repeated(KeyedRepeat::KeyReused)));
        let again = run_one(&mut *lane, keyed("m")).await;
        assert!(matches!(again, Outcome::Repeated(KeyedRepeat::Answered(_))));
        assert_eq!(money(&store, &order).await.refunds().len(), 1);
    }

    async fn the_timeline_tells_of_payments_refunds_and_messages(store) {
        use bellhop::storage::TimelineEvent;
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, payment) = paid(&world, &mut *lane).await;
        let message = ReceiveMessage {
            id: PaymentMessageId::generate(), key: "a".to_owned(), body: Private("{}".to_owned()),
            order: Some(order.id), payment: Some(payment),
        };
        run_one(&mut *lane, Write::ReceiveMessage(Box::new(message))).await;
        let placed = now_of(&store, &order).await;
        run_one(&mut *lane, move_to(&placed, Status::Rejected)).await;
        let timeline = store.store.timeline(order.id).await.unwrap();
        let count = |is_it: fn(&TimelineEvent) -> bool| timeline.iter().filter(|entry| is_it(&entry.what)).count();
        assert_eq!(count(|what| matches!(what, TimelineEvent::Payment { state: PaymentState::Succeeded, .. })), 1);
        assert_eq!(count(|what| matches!(what, TimelineEvent::Refund { cause: RefundCause::Automatic, .. })), 1);
        assert_eq!(count(|what| matches!(what, TimelineEvent::Message { state, .. } if state == "due")), 1);
    }
}
