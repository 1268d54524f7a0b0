//! The search for a driver, and the watch over the one who comes.

use super::*;
use bellhop::domain::order::{ChangeRequest, EndedCode};
use bellhop::storage::commands::ChangeOrder;

fn alarms(commits: &[Committed], kind: &str) -> usize {
    let is_one = |event: &&bellhop::protocol::event::RoomEvent| {
        event.room.to_string() == "ops" && event.data.as_str().contains(kind)
    };
    commits.iter().flat_map(|commit| &commit.events).filter(is_one).count()
}

on_every_store! {
    /// The look has everything that the pool of the zone needs.
    async fn a_driver_is_looked_for_in_time_for_the_food(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        // 25 minutes, less 300 s for the first radius and 120 s.
        let commits = live(&store, &mut *lane, S(25 * 60 - 425), &[]).await;
        assert_eq!(looks(&commits).len(), 0);
        let commits = live(&store, &mut *lane, S(10), &[]).await;
        let look = looks(&commits)[0];
        assert_eq!((look.order, &*look.zone, look.wave, look.attempt), (order.id, "centre", 1, 0));
        assert_eq!((look.job.business, look.job.pickup), (world.business.id, world.business.location));
        assert_eq!((look.job.radius_m, look.job.most, look.job.is_cash), (1_500, 1, true));
        assert!(look.payout_minor > 250, "{}", look.payout_minor);
    }

    async fn the_search_begins_at_once_when_the_food_is_ready(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let commits = live(&store, &mut *lane, S(1), &[]).await;
        assert_eq!(looks(&commits)[0].order, order.id);
    }

    async fn the_search_moves_with_the_time_at_which_it_is_ready(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        let change = ChangeRequest {
            party: Party::Member,
            version: order.version,
            ready_in_minutes: Some(10),
            address: None,
            phone: None,
            notes: None,
        };
        let change = ChangeOrder { order: order.id, business: order.business_id, user: world.owner, request: change };
        run_one(&mut *lane, Write::ChangeOrder(Box::new(change))).await;
        let commits = live(&store, &mut *lane, S(10 * 60 - 415), &[]).await;
        assert_eq!(looks(&commits).len(), 1);
    }

    /// Whatever a pool does or does not.
    async fn a_look_that_comes_to_nothing_is_made_again(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        ready(&world, &mut *lane).await;
        let commits = live(&store, &mut *lane, S(25), &[]).await;
        assert_eq!(looks(&commits).iter().map(|look| look.wave).collect::<Vec<_>>(), [1, 1, 1]);
    }

    /// Operators and the shop are told first; the customer's money follows the table of orders.
    async fn an_order_that_nobody_brings_is_cancelled_in_the_end(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        let commits = live(&store, &mut *lane, S(25 * 60 - 90), &[]).await;
        assert_eq!(alarms(&commits, "NO_DRIVER"), 1);
        assert_eq!(store.peek("SELECT count(*) FROM notifications WHERE kind = 'NO_DRIVER'").await, 1);
        live(&store, &mut *lane, S(90 + 1_700), &[driver]).await;
        assert_eq!(order_now(&store, order.id).await.status, Status::Accepted);
        assert_eq!(opened(&open(&store, &mut *lane, &order, &[driver]).await), 1);
        live(&store, &mut *lane, S(120), &[driver]).await;
        let ListedDelivery { delivery, order } = delivery(&store, &order).await;
        assert_eq!((order.status, delivery.status), (Status::Cancelled, DeliveryStatus::Cancelled));
        assert_eq!(order.ended_reason.unwrap().code, EndedCode::NoDriver);
        assert!(store.store.open_offers_of(driver).await.unwrap().is_empty());
    }

    async fn three_offers_without_an_answer_set_a_driver_offline(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        for number in 1..=3 {
            assert!(driver_now(&store, driver).await.online);
            assert_eq!(opened(&open(&store, &mut *lane, &order, &[driver]).await), 1, "{number}");
            live(&store, &mut *lane, S(46), &[driver]).await;
        }
        let driver = driver_now(&store, driver).await;
        assert_eq!((driver.online, driver.ignored), (false, 3));
    }

    /// However long ago: whoever was not asked yet comes first.
    async fn the_look_says_who_did_not_answer(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (first, second) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        let mut silent = Vec::new();
        for asked in [first, second] {
            assert_eq!(opened(&open(&store, &mut *lane, &order, &[asked]).await), 1);
            let commits = live(&store, &mut *lane, S(46), &[first, second]).await;
            silent.push(asked);
            silent.sort();
            let job = &looks(&commits)[0].job;
            assert_eq!((&job.after, &job.not), (&silent, &Vec::new()));
        }
    }

    /// Nobody could have answered; and everybody has time once it is back.
    async fn an_offer_that_an_outage_ran_over_is_not_ignored(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        beat(&mut *lane).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let offer = offer_of(&store, driver, &order).await;
        store.store.clock().advance(S(600));
        assert!(accept(&mut *lane, &offer).await.is_ok(), "in the grace");

        let order = ready(&world, &mut *lane).await;
        let driver = super::driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        store.store.clock().advance(S(600));
        beat(&mut *lane).await;
        live(&store, &mut *lane, S(300), &[driver]).await;
        let kept = store.peek("SELECT count(*) FROM offers WHERE state = 'expired'").await;
        assert_eq!((kept, driver_now(&store, driver).await.ignored), (1, 0));
    }

    /// Its driver is free as soon as a deadline of the order is fired.
    async fn an_order_that_an_older_release_ended_does_not_keep_its_driver(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        assigned(&store, &mut *lane, &order, driver).await;
        store.tamper("UPDATE orders SET status = 'cancelled', version = version + 1").await;
        let commits = live(&store, &mut *lane, S(20), &[driver]).await;
        let left: Vec<_> = commits.iter().flat_map(|commit| &commit.left).copied().collect();
        assert_eq!(left, [(order.id, driver)]);
        assert_eq!(driver_now(&store, driver).await.active, 0);
        assert_eq!(delivery(&store, &order).await.delivery.status, DeliveryStatus::Cancelled);
    }

    /// Asked once, and a minute later it is somebody else's.
    async fn a_driver_who_does_not_come_loses_the_delivery(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        assigned(&store, &mut *lane, &order, driver).await;
        let commits = live(&store, &mut *lane, S(150), &[]).await;
        let asked = commits.iter().flat_map(|commit| &commit.events);
        assert_eq!(asked.filter(|event| event.data.as_str().contains("answer_by")).count(), 1);
        let commits = live(&store, &mut *lane, S(60), &[]).await;
        let left: Vec<_> = commits.iter().flat_map(|commit| &commit.left).copied().collect();
        assert_eq!(left, [(order.id, driver)]);
        let delivery = delivery(&store, &order).await.delivery;
        assert_eq!((delivery.status, delivery.reason), (DeliveryStatus::Unassigned, Some(LeaveReason::Stalled)));
        assert_eq!(looks(&commits)[0].job.not, [driver]);
        assert_eq!(driver_now(&store, driver).await.active, 0);
    }

    /// Only a person does.
    async fn food_under_way_is_taken_from_nobody(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        assigned(&store, &mut *lane, &order, driver).await;
        run_one(&mut *lane, step(&order, driver, StepReport::of(Step::PickedUp))).await;
        let commits = live(&store, &mut *lane, S(600), &[]).await;
        assert_eq!(delivery(&store, &order).await.delivery.driver, Some(driver));
        assert_eq!(alarms(&commits, "DRIVER_SILENT"), 1, "once");
    }
}
