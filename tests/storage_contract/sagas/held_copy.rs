//! A restored copy: nothing is done by itself about its orders until it is released.

use bellhop::storage::commands::{MoveOrder, SetCopyHeld};

use super::*;

fn hold(held: bool) -> Write {
    Write::SetCopyHeld(SetCopyHeld { held })
}

fn ended_silently(order: &Order, to: Status) -> Write {
    let wish = MoveOrder::of_held_copy((order.id, order.business_id), order.version, to, "after a restore");
    Write::MoveOrder(wish)
}

on_every_store! {
    async fn deadlines_of_a_held_copy_do_nothing_and_those_of_new_orders_go_on(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let old = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, hold(true)).await;
        store.store.clock().advance(S(1));
        beat(&mut *lane).await;
        let new = place_by_another(&world, &mut *lane).await;
        let commits = live(&store, &mut *lane, S(600)).await;
        assert_eq!(order(&store, &old).await, old, "nothing of it has changed");
        assert_eq!(order(&store, &new).await.status, Status::Cancelled, "nobody answered it");
        let of_old = |committed: &&Committed| committed.outcomes.iter().map(fired).any(|fired| {
            fired.left.is_some_and(|left| left.order == old.id) && fired.report.is_some()
        });
        assert_eq!(commits.iter().filter(of_old).count(), 0);
        let since = store.store.held_since().await.unwrap().expect("it is held");
        let held = store.store.held_orders(since, None, 10).await.unwrap();
        assert_eq!(held.iter().map(|held| (held.order, held.status)).collect::<Vec<_>>(), [(old.id, Status::Placed)]);
        assert!(held[0].next.is_some_and(|(_, due)| due < store.store.clock().now()), "it is overdue");
        assert_eq!(store.store.held_orders(since, Some(held[0].place), 10).await.unwrap(), []);
        run_one(&mut *lane, hold(false)).await;
        assert_eq!(store.store.held_since().await.unwrap(), None);
        live(&store, &mut *lane, S(40)).await;
        assert_eq!(order(&store, &old).await.status, Status::Cancelled, "its deadline acts after the release");
    }

    async fn intents_of_a_held_copy_are_not_due(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        place_one(&mut *lane, world.draft()).await;
        live(&store, &mut *lane, S(30)).await;
        let now = || store.store.clock().now();
        assert_ne!(store.store.due_intents(now(), 10).await.unwrap(), []);
        run_one(&mut *lane, hold(true)).await;
        assert_eq!(store.store.due_intents(now(), 10).await.unwrap(), []);
        run_one(&mut *lane, hold(false)).await;
        assert_ne!(store.store.due_intents(now(), 10).await.unwrap(), []);
    }

    async fn an_order_that_is_ended_after_a_restore_rings_nobody(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let placed = place_one(&mut *lane, world.draft()).await;
        let accepted = run_one(&mut *lane, move_to(&placed, Status::Accepted)).await;
        let Outcome::Moved(Ok(accepted)) = accepted else { panic!("{accepted:?}") };
        let committed = run(&mut *lane, vec![ended_silently(&accepted, Status::Cancelled)]).await;
        assert!(matches!(&committed.outcomes[..], [Outcome::Moved(Ok(ended))] if ended.status == Status::Cancelled));
        assert!(committed.sagas.iter().all(|saga| saga.due_at.is_none()), "{:?}", committed.sagas);
        assert!(committed.rings.is_empty() && !committed.money_due);
    }
}
