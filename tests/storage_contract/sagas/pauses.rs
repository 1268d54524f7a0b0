//! Businesses that do not answer: when they are paused, and what else may happen in the same commit.

use super::*;

on_every_store! {
    async fn three_customers_without_an_answer_pause_the_business_until_morning(store) {
        let (world, lane) = Fixture::new(&store).await;
        drop(lane);
        store.store.set_clocks(Clocks { escalate: S(3600), ..Clocks::default() });
        let mut lane = store.lane().await;
        for n in 1..=3 {
            place_by_another(&world, &mut *lane).await;
            let commits = live(&store, &mut *lane, S(481)).await;
            let answers: Vec<AnswerState> = outcomes(&commits).into_iter().filter_map(|fired| {
                Some(fired.report.as_ref()?.answer).filter(|answer| *answer != AnswerState::Open)
            }).collect();
            assert_eq!(answers, [if n == 3 { AnswerState::Paused } else { AnswerState::Unanswered }]);
            if n == 3 {
                let end = commits.last().unwrap();
                let told: Vec<_> = end.events.iter().map(|event| (event.room, event.kind.clone())).collect();
                assert!(told.contains(&(RoomId::Business(world.business.id), EventType::BusinessUpdated.into())), "{told:?}");
                assert!(told.contains(&(RoomId::Ops, EventType::BusinessUpdated.into())), "{told:?}");
                assert!(told.contains(&(RoomId::Ops, EventType::Notification.into())), "{told:?}");
            }
        }
        let refused = run_one(&mut *lane, place(world.draft())).await;
        let Outcome::Placed(PlaceOutcome::Refused(PlaceRefusal::NotTakingOrders(_))) = refused else {
            panic!("expected a refusal, got {refused:?}")
        };
        let business = store.store.business(world.business.id).await.unwrap().unwrap();
        assert!(business.version > world.business.version);
        assert!(business.alerts.unanswered.is_empty());
    }

    async fn one_customer_is_counted_once_and_an_answer_begins_the_count_anew(store) {
        let (world, lane) = Fixture::new(&store).await;
        drop(lane);
        store.store.set_clocks(Clocks { escalate: S(3600), ..Clocks::default() });
        let mut lane = store.lane().await;
        let unanswered = async || store.store.business(world.business.id).await.unwrap().unwrap().alerts.unanswered;
        for _ in 0..3 {
            place_one(&mut *lane, world.draft()).await;
            live(&store, &mut *lane, S(481)).await;
        }
        assert_eq!(unanswered().await, [world.customer]);
        place_by_another(&world, &mut *lane).await;
        live(&store, &mut *lane, S(481)).await;
        assert_eq!(unanswered().await.len(), 2);
        let member = place_one(&mut *lane, Draft { placed_by: Party::Member, ..world.draft() }).await;
        run_one(&mut *lane, move_to(&member, Status::Accepted)).await;
        assert_eq!(unanswered().await.len(), 2, "an order of a member counts neither way");
        let order = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, by(Party::Customer, &order, Status::Cancelled)).await;
        assert_eq!(unanswered().await.len(), 2, "nor does a customer's cancel");
        let order = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, move_to(&order, Status::Rejected)).await;
        assert!(unanswered().await.is_empty());
    }

    async fn one_that_runs_out_while_two_more_wait_pauses_the_business(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        place_by_another(&world, &mut *lane).await;
        live(&store, &mut *lane, S(300)).await;
        for _ in 0..2 {
            place_by_another(&world, &mut *lane).await;
        }
        let commits = live(&store, &mut *lane, S(181)).await;
        let answer = outcomes(&commits).into_iter().filter_map(|fired| Some(fired.report.as_ref()?.answer)).max_by_key(|a| *a as u8);
        assert_eq!(answer, Some(AnswerState::Paused));
    }

    async fn what_is_counted_of_a_business_and_what_others_change_of_it_are_both_kept(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let committed = run(&mut *lane, vec![place(world.draft())]).await;
        live(&store, &mut *lane, S(19)).await;
        store.tamper(
            "UPDATE businesses SET can_ring_since = 1, unreachable_since = 2, \
             pauses = '[{\"cause\":\"unreachable\",\"since\":\"2026-01-01T00:00:00Z\",\"until\":null}]'"
        ).await;
        store.store.clock().advance(S(2));
        let due = store.store.due_sagas(store.store.clock().now(), None, 10).await.unwrap()[0];
        assert_eq!(due.order, placed(&committed.outcomes[0]).id);
        let business = world.business.id;
        let renew = renewal(vec![Lease { business, devices: 1 }]);
        let rename = update(business, BusinessPatch { name: Some("Other".to_owned()), ..BusinessPatch::default() });
        let refused = run(&mut *lane, vec![place(world.draft()), fire(&due), renew, place(world.draft()), rename]).await;
        assert!(matches!(refused.outcomes[0], Outcome::Placed(PlaceOutcome::Refused(_))), "it is paused");
        placed(&refused.outcomes[3]);
        let stored = store.store.business(business).await.unwrap().unwrap();
        assert_eq!((stored.pauses.iter().count(), stored.name.as_str()), (0, "Other"));
        assert_eq!(stored.alerts.mailed_at, Some(refused.now));
    }
}
