//! Money that waits for somebody, as it is counted for those on call.

use bellhop::domain::time::Timestamp;
use bellhop::storage::Overdue;

use super::messages::{due, message, work};
use super::refunds::{answered, begin, owed};
use super::*;

async fn overdue(store: &TestStore, now: Timestamp) -> Overdue {
    Overdue { deadlines: 0, ..store.store.overdue(now).await.unwrap() }
}

on_every_store! {
    async fn an_order_whose_payment_was_told_of_two_minutes_ago_is_counted_until_it_is_placed(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        for key in ["a", "b"] {
            run_one(&mut *lane, message(key, Some(order.id), Some(payment))).await;
        }
        let now = store.store.clock().now();
        assert_eq!(overdue(&store, now.plus(S(110))).await, Overdue::default());
        let late = Overdue { paid_not_placed: 1, ..Overdue::default() };
        assert_eq!(overdue(&store, now.plus(S(121))).await, late, "one order, however many messages");
        let seen = store.store.due_messages(now, 10).await.unwrap().remove(0);
        run_one(&mut *lane, work(&seen, Ok(news(&order, payment, NewsStatus::Success)))).await;
        assert_eq!(due(&store).await.payment.map(|(order, _)| order), Some(order.id), "the other one still waits");
        assert_eq!(overdue(&store, now.plus(S(600))).await, Overdue::default(), "the order is placed");
    }

    async fn a_refund_is_late_after_an_hour_and_one_that_failed_is_counted_at_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, refund) = owed(&store, &world, &mut *lane).await;
        let now = store.store.clock().now();
        assert_eq!(overdue(&store, now.plus(S(3590))).await, Overdue::default());
        let late = Overdue { refunds_late: 1, ..Overdue::default() };
        assert_eq!(overdue(&store, now.plus(S(3601))).await, late);
        let attempt = begin_now(&store, &order, refund, &mut *lane).await;
        run_one(&mut *lane, answered(&order, refund, attempt, RefundAnswer::Refused)).await;
        let failed = Overdue { refunds_failed: 1, ..Overdue::default() };
        assert_eq!(overdue(&store, now).await, failed);
        assert_eq!(overdue(&store, now.plus(S(7200))).await, failed, "it is not late as well");
    }
}

/// Sends a refund; returns the attempt that it is.
async fn begin_now(store: &TestStore, order: &Order, refund: RefundId, lane: &mut dyn Lane) -> u32 {
    let due = store.store.due_refunds(store.store.clock().now(), 10).await.unwrap();
    let due = due.into_iter().find(|due| due.refund == refund).unwrap();
    run_one(lane, begin(order, refund, due.attempt)).await;
    due.attempt + 1
}
