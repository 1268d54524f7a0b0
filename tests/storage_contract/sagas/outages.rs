//! Time in which nobody could answer, and deadlines that are held.

use super::*;

on_every_store! {
    async fn after_an_outage_nothing_ends_in_the_grace_and_an_answer_in_it_wins(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let drafts = (0..10).map(|_| place(world.draft())).collect();
        let orders: Vec<Order> = run(&mut *lane, drafts).await.outcomes.iter().map(placed).collect();
        live(&store, &mut *lane, S(30)).await;
        store.store.clock().advance(S(600));
        let grace = live(&store, &mut *lane, S(119)).await;
        assert!(outcomes(&grace).iter().all(|fired| fired.moved.as_ref().is_none_or(|o| o.status == Status::Placed)));
        assert!(grace.iter().map(|commit| commit.rings.len()).sum::<usize>() >= 10, "they ring anew");
        let first = crate::sagas::order(&store, &orders[0]).await;
        assert!(first.deadline_at > orders[0].deadline_at);
        run_one(&mut *lane, move_to(&first, Status::Accepted)).await;
        let after = live(&store, &mut *lane, S(3)).await;
        let ended = outcomes(&after).iter().filter(|f| f.moved.as_ref().is_some_and(|o| o.status == Status::Cancelled)).count();
        assert_eq!(ended, 9);
        assert_eq!(crate::sagas::order(&store, &orders[0]).await.status, Status::Accepted);
        let business = store.store.business(world.business.id).await.unwrap().unwrap();
        assert!(business.alerts.unanswered.is_empty() && business.takes_orders(store.store.clock().now()).is_ok());
        // An order placed after it has its own time.
        let order = place_one(&mut *lane, world.draft()).await;
        live(&store, &mut *lane, S(481)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Cancelled);
    }

    async fn ten_seconds_without_the_hub_are_no_outage(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        live(&store, &mut *lane, S(475)).await;
        store.store.clock().advance(S(10));
        live(&store, &mut *lane, S(1)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Cancelled);
    }

    async fn a_hold_puts_the_end_of_an_order_off_and_not_its_alarm(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        store.tamper(
            "INSERT INTO holds (what, scope, until, reason, user_id, created_at) \
             VALUES ('auto_cancel', 'zone:centre', 9000000000000000, 'r', 'u', 0)"
        ).await;
        let held = live(&store, &mut *lane, S(700)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Placed);
        assert!(held.last().unwrap().now > order.deadline_at.unwrap());
        store.tamper("UPDATE holds SET until = 1").await;
        live(&store, &mut *lane, S(31)).await;
        assert_eq!(crate::sagas::order(&store, &order).await.status, Status::Cancelled);
    }
}
