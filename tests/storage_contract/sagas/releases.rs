//! Orders of other releases, and states that this one does not know.

use super::*;

on_every_store! {
    async fn a_state_of_a_newer_release_is_left_alone(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        let (order, due) = (placed(&committed.outcomes[0]), committed.sagas[0]);
        store.tamper("UPDATE order_sagas SET state = '{\"courier\":{\"at\":1}}'").await;
        store.store.clock().advance(S(500));
        let outcome = run_one(&mut *lane, fire(&due)).await;
        assert!(fired(&outcome).report.is_none() && fired(&outcome).left.is_none());
        run_one(&mut *lane, move_to(&order, Status::Accepted)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Accepted);
        assert_eq!(store.texts("SELECT state FROM order_sagas").await, ["{\"courier\":{\"at\":1}}"]);
        assert_eq!(store.peek("SELECT attempt FROM order_sagas").await, 1);
    }

    async fn an_order_of_a_release_without_sagas_gets_its_clocks_when_it_is_looked_at(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        store.tamper("UPDATE order_sagas SET state = '{}', due_at = 0, attempt = 0").await;
        store.tamper("UPDATE orders SET placed_by = NULL, placed_at = NULL, deadline_at = NULL").await;
        let commits = live(&store, &mut *lane, S(1)).await;
        let now = commits[0].now;
        let taken_in = crate::sagas::order(&store, &order).await;
        assert_eq!((taken_in.placed_by, taken_in.status), (Party::Customer, Status::Placed));
        assert_eq!((taken_in.placed_at, taken_in.deadline_at), (Some(now), Some(now.plus(S(480)))));
        assert_eq!(outcomes(&commits)[0].moved.as_deref(), Some(&taken_in), "whoever caches it hears of it");
    }

    async fn live_orders_that_have_no_saga_are_made_due(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let drafts = (0..3).map(|_| place(world.draft())).collect();
        let orders: Vec<Order> = run(&mut *lane, drafts).await.outcomes.iter().map(placed).collect();
        run_one(&mut *lane, move_to(&orders[0], Status::Rejected)).await;
        store.tamper("DELETE FROM order_sagas").await;
        let mut taken = Vec::new();
        for _ in 0..3 {
            let Outcome::Advanced(step) = run_one(&mut *lane, Write::TakeInOrders(TakeInOrders { limit: 1 })).await else {
                panic!("expected progress")
            };
            taken.push((step.changed, step.last.is_some()));
        }
        assert_eq!(taken, [(1, true), (1, true), (0, false)]);
        assert_eq!(live(&store, &mut *lane, S(1)).await.len(), 1);
        live(&store, &mut *lane, S(481)).await;
        for order in &orders[1..] {
            assert_eq!(crate::sagas::order(&store, order).await.status, Status::Cancelled);
        }
    }
}
