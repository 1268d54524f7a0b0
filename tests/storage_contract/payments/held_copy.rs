//! The money of a restored copy, which does not move until it is released.

use bellhop::domain::order::{MoveRequest, Party};
use bellhop::storage::commands::{Aftermath, MoveOrder, SetCopyHeld};

use super::*;

fn hold(held: bool) -> Write {
    Write::SetCopyHeld(SetCopyHeld { held })
}

on_every_store! {
    async fn refunds_of_a_held_copy_are_not_due_and_are_listed(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, _) = paid(&world, &mut *lane).await;
        run_one(&mut *lane, hold(true)).await;
        let order = now_of(&store, &order).await;
        run_one(&mut *lane, move_to(&order, Status::Rejected)).await;
        let now = || store.store.clock().now().plus(S(10));
        assert_eq!(store.store.due_refunds(now(), 10).await.unwrap(), [], "also one that a person made due");
        let since = store.store.held_since().await.unwrap().expect("it is held");
        let held = store.store.held_refunds(since, 10).await.unwrap();
        assert_eq!(held.iter().map(|held| (held.order, held.amount_minor)).collect::<Vec<_>>(), [(order.id, order.total_minor)]);
        run_one(&mut *lane, hold(false)).await;
        assert_eq!(store.store.due_refunds(now(), 10).await.unwrap().len(), 1);
    }

    async fn payments_of_a_held_copy_are_not_asked_about(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        open(&mut *lane, &order).await;
        run_one(&mut *lane, move_to(&order, Status::Cancelled)).await;
        let now = || store.store.clock().now();
        assert_eq!(store.store.payments_to_ask(now(), 10).await.unwrap().len(), 1);
        run_one(&mut *lane, hold(true)).await;
        assert_eq!(store.store.payments_to_ask(now(), 10).await.unwrap(), []);
    }

    async fn a_paid_order_that_is_ended_after_a_restore_owes_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, _) = paid(&world, &mut *lane).await;
        let order = now_of(&store, &order).await;
        let request = MoveRequest {
            party: Party::Admin, to: Status::Cancelled, version: order.version, prep_minutes: None, delivered_by: None,
        };
        let (id, business, reason) = (order.id, order.business_id, Some("after a restore".to_owned()));
        let end = MoveOrder { order: id, business, user: None, request, reason, aftermath: Aftermath::Nothing };
        run_one(&mut *lane, Write::MoveOrder(end)).await;
        let ended = now_of(&store, &order).await;
        assert_eq!((ended.status, ended.payment_status), (Status::Cancelled, PaymentStatus::Paid));
        assert!(money(&store, &order).await.refunds().is_empty());
    }
}
