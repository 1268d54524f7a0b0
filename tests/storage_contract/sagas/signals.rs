//! What devices and channels have to do with the alert of an order.

use super::*;

on_every_store! {
    async fn the_first_acknowledgement_accepts_where_the_business_says_so(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        store.tamper("UPDATE businesses SET auto_accept = TRUE").await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        let (order, due) = (placed(&committed.outcomes[0]), committed.sagas[0]);
        let acknowledgement = acknowledged(&world, committed.events[0].cursor);
        let heard = run(&mut *lane, vec![acknowledgement.clone()]).await;
        assert_eq!(heard.sagas, [SagaDue { due_at: Some(heard.now), ..due }]);
        let again = run(&mut *lane, vec![acknowledgement]).await;
        assert!(again.sagas.is_empty(), "the first counts");
        let accepted = run(&mut *lane, vec![fire(&heard.sagas[0])]).await;
        let stored = crate::sagas::order(&store, &order).await;
        assert_eq!((stored.status, stored.prep_minutes), (Status::Accepted, Some(20)));
        assert_eq!(stored.answered_at, Some(accepted.now));
        let ringing = live(&store, &mut *lane, S(60)).await;
        let rings = ringing.iter().map(|commit| commit.rings.len()).sum::<usize>();
        // Four on a machine that is not busy: each follows fifteen seconds after the one before was written.
        assert!(rings >= 3, "it rings until somebody has looked at it: {rings}");
        let of = |room| accepted.events.iter().find(|event| event.room == room).unwrap();
        let acted = |event: &RoomEvent, user, role| Write::StoreMark(DeviceMark {
            room: event.room, device: "till".to_owned(), user, role, cursor: event.cursor, kind: MarkKind::Acted,
            at: now(),
        });
        let (kitchen, own) = (of(RoomId::Business(world.business.id)), of(RoomId::Order(order.id)));
        run_one(&mut *lane, acted(own, world.customer, Role::Customer)).await;
        run_one(&mut *lane, acted(kitchen, UserId::generate(), Role::Admin)).await;
        assert_eq!(store.peek("SELECT count(*) FROM device_marks").await, 1, "an operator is not the kitchen");
        let ringing = live(&store, &mut *lane, S(60)).await;
        assert!(ringing.iter().any(|commit| !commit.rings.is_empty()), "nor is the customer");
        run_one(&mut *lane, acted(kitchen, world.owner, Role::Merchant)).await;
        let silent = live(&store, &mut *lane, S(60)).await;
        assert_eq!(silent.iter().map(|commit| commit.rings.len()).sum::<usize>(), 0);
    }

    async fn an_order_that_an_operator_cancels_after_it_was_accepted_rings_for_a_while(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, move_to(&order, Status::Accepted)).await;
        let accepted = crate::sagas::order(&store, &order).await;
        run_one(&mut *lane, by(Party::Admin, &accepted, Status::Cancelled)).await;
        let commits = live(&store, &mut *lane, S(3600)).await;
        let rings: Vec<_> = commits.iter().flat_map(|commit| &commit.rings).collect();
        assert!(rings.iter().all(|due| due.ring.kind == RingKind::Cancelled));
        assert!((18..=20).contains(&rings.len()), "{}", rings.len());
        assert_eq!(store.store.next_saga_due(Timestamp::default()).await.unwrap(), None);
    }

    async fn a_use_of_a_channel_is_due_until_it_has_ended(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        place_by_another(&world, &mut *lane).await;
        live(&store, &mut *lane, S(21)).await;
        let now = store.store.clock().now();
        let due = store.store.due_intents(now, 10).await.unwrap();
        let mails: Vec<_> = due.iter().filter(|intent| intent.rung == Rung::Mail).collect();
        assert_eq!((due.len(), mails.len()), (3, 1), "one mail names both orders");
        let mail = mails[0];
        assert_eq!((mail.business, mail.waiting, mail.attempts), (world.business.id, 2, 0));
        assert!(due.iter().any(|intent| intent.order == order.id) && mail.expires_at == mail.due_at.plus(S(600)));
        let finish = |result| Write::FinishIntent(FinishIntent { intent: mail.id, result });
        run_one(&mut *lane, finish(IntentResult::Retry(now.plus(S(30))))).await;
        assert_eq!(store.store.due_intents(now, 10).await.unwrap().len(), 2);
        let again = store.store.due_intents(now.plus(S(30)), 10).await.unwrap();
        assert_eq!(again.iter().find(|intent| intent.id == mail.id).unwrap().attempts, 1);
        run_one(&mut *lane, finish(IntentResult::NotConfigured)).await;
        run_one(&mut *lane, finish(IntentResult::Sent)).await;
        assert!(store.store.due_intents(now.plus(S(60)), 10).await.unwrap().iter().all(|i| i.id != mail.id));
        let state = "SELECT state FROM intents WHERE rung = 'mail'";
        assert_eq!(store.texts(state).await, ["not_configured"], "what has ended stays as it ended");
    }

    async fn a_use_of_a_channel_is_needed_until_an_answer_or_a_device_has_come(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let needed = async || {
            let due = store.store.due_intents(store.store.clock().now(), 10).await.unwrap();
            let mut needed: Vec<Rung> = due.iter().filter(|i| i.is_needed).map(|i| i.rung).collect();
            needed.sort_by_key(|rung| rung.as_str());
            (due.len(), needed)
        };
        live(&store, &mut *lane, S(301)).await;
        let (due, all) = needed().await;
        assert_eq!(due, all.len());
        assert!(all.contains(&Rung::Undelivered) && all.contains(&Rung::Mail) && all.contains(&Rung::Escalate));
        let cursor = store.store.head(RoomId::Business(world.business.id)).await.unwrap().cursor;
        run_one(&mut *lane, acknowledged(&world, cursor)).await;
        let of_the_ignored: Vec<Rung> =
            all.into_iter().filter(|rung| ![Rung::Undelivered, Rung::Mail].contains(rung)).collect();
        assert_eq!(needed().await, (due, of_the_ignored), "a device has it, and nobody has answered");
        run_one(&mut *lane, move_to(&order, Status::Accepted)).await;
        assert_eq!(needed().await, (due, vec![]));
    }
}
