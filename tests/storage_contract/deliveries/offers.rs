//! Waves of offers and the answers to them.

use super::*;
use crate::fixtures::command;
use bellhop::storage::Attempt;

on_every_store! {
    /// Its members and its customer hear of it, and operators in the zone. Nobody reads its code in the file.
    async fn an_order_accepted_for_drivers_has_a_delivery_from_then_on(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        let committed = run(&mut *lane, vec![accept_for_drivers(&order)]).await;
        let heard: Vec<String> = told(&committed)
            .into_iter()
            .filter(|(_, kind)| *kind == EventType::DeliveryUpdated)
            .map(|(room, _)| room)
            .collect();
        assert_eq!(heard, ["order", "business", "zone"]);
        let ListedDelivery { delivery, order } = delivery(&store, &order).await;
        assert_eq!((delivery.status, delivery.driver, delivery.attempt), (DeliveryStatus::Unassigned, None, 0));
        assert_eq!((delivery.order, &*delivery.zone, delivery.code.len()), (order.id, "centre", 4));
        assert_eq!(order.delivery.map(|one| (one.id, one.status)), Some((delivery.id, delivery.status)));
        let kept = store.texts("SELECT code FROM deliveries").await;
        assert!(kept[0].starts_with("v1."), "{kept:?}");
    }

    async fn an_order_that_its_business_brings_has_no_delivery(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = place_one(&mut *lane, world.draft()).await;
        run_one(&mut *lane, move_to(&order, Status::Accepted)).await;
        assert_eq!(order_now(&store, order.id).await.delivery, None);
        assert_eq!(store.peek("SELECT count(*) FROM deliveries").await, 0);
    }

    /// Asked again, the winner hears the same; everybody else that it is taken.
    async fn the_first_driver_who_accepts_has_the_delivery(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (first, second) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        let committed = open(&store, &mut *lane, &order, &[first, second]).await;
        assert_eq!(opened(&committed), 2);
        assert_eq!(told(&committed).iter().filter(|(room, _)| room == "driver").count(), 2);
        let offers = [offer_of(&store, first, &order).await, offer_of(&store, second, &order).await];
        let won = accept(&mut *lane, &offers[0]).await.unwrap();
        assert!(!won.already);
        assert_eq!(accept(&mut *lane, &offers[0]).await, Ok(DeliveryChanged { already: true, ..won }));
        assert_eq!(accept(&mut *lane, &offers[1]).await, Err(AnswerRefusal::Taken));
        let ListedDelivery { delivery, order } = delivery(&store, &order).await;
        assert_eq!((delivery.status, delivery.driver, delivery.payout_minor), (DeliveryStatus::Assigned, Some(first), 400));
        assert_eq!(order.delivery.and_then(|one| one.driver), Some(first));
        assert_eq!((driver_now(&store, first).await.active, driver_now(&store, second).await.active), (1, 0));
        let taken = store.store.offer(offers[1].id).await.unwrap().unwrap();
        assert_eq!(taken.state, OfferState::Taken);
        let carried = store.store.carried_by(first).await.unwrap();
        assert_eq!(carried.iter().map(|one| one.order.id).collect::<Vec<_>>(), [order.id]);
    }

    async fn two_accepts_of_one_transaction_are_one_win(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (first, second) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        open(&store, &mut *lane, &order, &[first, second]).await;
        let offers = [offer_of(&store, first, &order).await, offer_of(&store, second, &order).await];
        let accepts = offers.iter().map(|offer| answer(offer, OfferAnswer::Accept)).collect();
        let committed = run(&mut *lane, accepts).await;
        let outcomes: Vec<_> = committed.outcomes.iter().map(answered).collect();
        assert!(outcomes[0].is_ok() && outcomes[1] == Err(AnswerRefusal::Taken), "{outcomes:?}");
        let losers = committed.events.iter().filter(|event| event.kind == EventType::OfferClosed);
        assert_eq!(losers.count(), 1);
    }

    /// Whether or not anybody has swept it.
    async fn an_offer_cannot_be_accepted_at_its_end(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let offer = offer_of(&store, driver, &order).await;
        store.store.clock().advance(S(45));
        beat(&mut *lane).await;
        assert_eq!(accept(&mut *lane, &offer).await, Err(AnswerRefusal::Expired));
        live(&store, &mut *lane, S(1), &[driver]).await;
        assert_eq!(store.store.offer(offer.id).await.unwrap().unwrap().state, OfferState::Expired);
        assert_eq!(accept(&mut *lane, &offer).await, Err(AnswerRefusal::Expired));
        assert_eq!(driver_now(&store, driver).await.ignored, 1);
    }

    async fn an_offer_of_somebody_else_is_not_there(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (asked, other) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        open(&store, &mut *lane, &order, &[asked]).await;
        let offer = offer_of(&store, asked, &order).await;
        let foreign = Offer { driver: other, ..offer.clone() };
        assert_eq!(accept(&mut *lane, &foreign).await, Err(AnswerRefusal::NoSuchOffer));
        let unknown = Offer { id: OfferId::generate(), ..offer };
        assert_eq!(accept(&mut *lane, &unknown).await, Err(AnswerRefusal::NoSuchOffer));
    }

    /// Of another business, in another lane: that order is named, so that it is looked at again.
    async fn whoever_has_no_room_left_is_asked_for_nothing_else(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (one, other) = (ready(&world, &mut *lane).await, ready(&world, &mut *lane).await);
        let driver = driver(&mut *lane, 1).await;
        let broadcast = Clocks {
            dispatch: bellhop::domain::dispatch::DispatchRules { wave: vec![0], ..Default::default() },
            ..Clocks::default()
        };
        store.store.set_clocks(broadcast);
        let mut lane = store.lane().await;
        for order in [&one, &other] {
            assert_eq!(opened(&open(&store, &mut *lane, order, &[driver]).await), 1);
        }
        let offers = [offer_of(&store, driver, &one).await, offer_of(&store, driver, &other).await];
        let committed = run(&mut *lane, vec![answer(&offers[0], OfferAnswer::Accept)]).await;
        assert!(answered(&committed.outcomes[0]).is_ok());
        assert_eq!(committed.look_again.iter().map(|look| look.order).collect::<Vec<_>>(), [other.id]);
        assert_eq!(store.store.offer(offers[1].id).await.unwrap().unwrap().state, OfferState::Withdrawn);
        assert_eq!(accept(&mut *lane, &offers[1]).await, Err(AnswerRefusal::OverCapacity));
        run_one(&mut *lane, Write::LookAgain(committed.look_again[0])).await;
        assert_eq!(delivery(&store, &other).await.delivery.status, DeliveryStatus::Unassigned);
        let commits = live(&store, &mut *lane, S(1), &[]).await;
        assert_eq!(looks(&commits).iter().map(|look| look.order).collect::<Vec<_>>(), [other.id], "at once");
    }

    /// What a pool believes does not count.
    async fn only_those_are_asked_who_can_be_by_their_rows(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let off = driver(&mut *lane, 1).await;
        set_online(&mut *lane, off, false).await;
        let full = driver(&mut *lane, 1).await;
        let another = ready(&world, &mut *lane).await;
        assigned(&store, &mut *lane, &another, full).await;
        let elsewhere = driver(&mut *lane, 1).await;
        let change = DriverChange { zones: Some(vec!["harbour".to_owned()]), ..DriverChange::default() };
        let change = ChangeDriver { driver: elsewhere, change, sharing: Sharing::AtOnce };
        run_one(&mut *lane, Write::ChangeDriver(Box::new(change))).await;
        let cashless = driver(&mut *lane, 1).await;
        let change = DriverChange { takes_cash: Some(false), ..DriverChange::default() };
        let change = ChangeDriver { driver: cashless, change, sharing: Sharing::AtOnce };
        run_one(&mut *lane, Write::ChangeDriver(Box::new(change))).await;
        let third = ready(&world, &mut *lane).await;
        let asked = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &third, &[asked]).await;
        let all = [off, full, elsewhere, cashless, asked, UserId::generate()];
        assert_eq!(opened(&open(&store, &mut *lane, &order, &all).await), 0);
        let free = driver(&mut *lane, 1).await;
        assert_eq!(opened(&open(&store, &mut *lane, &order, &[free]).await), 1);
    }

    async fn who_declined_is_not_asked_again(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let offer = offer_of(&store, driver, &order).await;
        let decline = || OfferAnswer::Decline { reason: Some("too far".to_owned()) };
        let committed = run(&mut *lane, vec![answer(&offer, decline())]).await;
        assert!(answered(&committed.outcomes[0]).is_ok());
        assert!(answered(&run_one(&mut *lane, answer(&offer, decline())).await).unwrap().already);
        assert_eq!(opened(&open(&store, &mut *lane, &order, &[driver]).await), 0);
        let commits = live(&store, &mut *lane, S(1), &[]).await;
        assert_eq!(looks(&commits)[0].job.not, [driver]);
        let kept = store.store.offer(offer.id).await.unwrap().unwrap();
        assert_eq!((kept.state, kept.reason.as_deref()), (OfferState::Declined, Some("too far")));
    }

    async fn a_wave_for_an_earlier_attempt_asks_nobody(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let drivers = [driver(&mut *lane, 1).await, driver(&mut *lane, 1).await];
        let (one, same) = (wave(&store, &order, 1, &drivers[..1]).await, wave(&store, &order, 1, &drivers[1..]).await);
        assert_eq!(opened(&run(&mut *lane, vec![one]).await), 1);
        assert_eq!(opened(&run(&mut *lane, vec![same]).await), 0);
    }

    /// A lane that lost its connection during COMMIT asks again with the same command.
    async fn an_accept_whose_commit_was_in_doubt_is_answered_as_it_was(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let accept = command(answer(&offer_of(&store, driver, &order).await, OfferAnswer::Accept));
        let first = lane.run(std::slice::from_ref(&accept), Attempt::First).await.unwrap();
        let again = lane.run(&[accept], Attempt::AfterUnknown).await.unwrap();
        assert_eq!(answered(&first.outcomes[0]), answered(&again.outcomes[0]));
        assert!(again.events.is_empty() && again.drivers.is_empty());
    }
}
