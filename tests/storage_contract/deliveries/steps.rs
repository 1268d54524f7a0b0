//! Steps of drivers and operators.

use super::*;
use bellhop::domain::delivery::{Proof, StepRefusal};
use bellhop::domain::order::FailureReason;
use bellhop::storage::TimelineEvent;
use bellhop::storage::commands::StepTaken;

fn taken(outcome: &Outcome) -> Result<StepTaken, StepRefusal> {
    match outcome {
        Outcome::StepReported(taken) => taken.clone(),
        other => panic!("expected a step, got {other:?}"),
    }
}

on_every_store! {
    async fn steps_move_the_order_in_the_same_commit(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        let at_pickup = run(&mut *lane, vec![step(&order, driver, StepReport::of(Step::AtPickup))]).await;
        assert_eq!(taken(&at_pickup.outcomes[0]), Ok(StepTaken::Taken));
        assert_eq!(order_now(&store, order.id).await.status, Status::Accepted);
        // The kitchen has said nothing: both are written.
        run_one(&mut *lane, step(&order, driver, StepReport::of(Step::PickedUp))).await;
        let picked = order_now(&store, order.id).await;
        assert_eq!((picked.status, picked.version), (Status::PickedUp, order.version + 3));
        let delivered = run(&mut *lane, vec![step(&order, driver, StepReport::of(Step::Delivered))]).await;
        assert!(told(&delivered).contains(&("order".to_owned(), EventType::OrderUpdated)));
        let ListedDelivery { delivery, order } = delivery(&store, &order).await;
        assert_eq!((order.status, order.payment_status), (Status::Delivered, PaymentStatus::Paid));
        assert_eq!((delivery.status, delivery.collected_minor), (DeliveryStatus::Delivered, Some(order.total_minor)));
        let now = driver_now(&store, driver).await;
        assert_eq!((now.active, now.delivered, now.on_time), (0, 1, 1));
        let again = run(&mut *lane, vec![step(&order, driver, StepReport::of(Step::Delivered))]).await;
        assert!(taken(&again.outcomes[0]).is_ok() && again.events.is_empty());
        assert_eq!(store.peek("SELECT count(*) FROM delivery_steps").await, 3);
        let past = store.store.past_of(driver, None, 10).await.unwrap();
        assert_eq!(past.iter().map(|one| one.order.id).collect::<Vec<_>>(), [order.id]);
        let (at, id) = (delivery.assigned_at.unwrap(), delivery.id);
        assert!(store.store.past_of(driver, Some((at, id)), 10).await.unwrap().is_empty());
    }

    /// A device may be wrong by days: both times are kept, and one counts that can be.
    async fn a_wrong_clock_is_no_reason_to_refuse_a_step(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        for (what, said_at) in [
            (Step::PickedUp, now(&store).minus(S(86_400))),
            (Step::Delivered, now(&store).plus(S(86_400))),
        ] {
            let report = StepReport { said_at: Some(said_at), ..StepReport::of(what) };
            assert_eq!(taken(&run_one(&mut *lane, step(&order, driver, report)).await), Ok(StepTaken::Taken));
        }
        let delivery = delivery(&store, &order).await.delivery;
        assert_eq!(delivery.picked_up_at, delivery.assigned_at);
        assert!(delivery.ended_at.unwrap() <= now(&store));
        assert_eq!(store.peek("SELECT count(*) FROM delivery_steps WHERE said_at <> at").await, 2);
    }

    async fn other_cash_than_was_due_is_told_to_operators(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        run_one(&mut *lane, step(&order, driver, StepReport::of(Step::PickedUp))).await;
        let short = StepReport { collected_minor: Some(order.total_minor - 100), ..StepReport::of(Step::Delivered) };
        let committed = run(&mut *lane, vec![step(&order, driver, short)]).await;
        let ops = committed.events.iter().find(|event| event.room.to_string() == "ops").unwrap();
        assert!(ops.data.as_str().contains("\"difference_minor\":-100"), "{}", ops.data.as_str());
        let day = (now(&store).minus(S(3_600)), now(&store).plus(S(3_600)));
        let earned = store.store.earnings_of(driver, day.0, day.1).await.unwrap();
        assert_eq!((earned[0].deliveries, earned[0].payout_minor), (1, 400));
        assert_eq!(earned[0].collected_minor, order.total_minor - 100);
        assert!(store.store.earnings_of(driver, day.1, day.1.plus(S(60))).await.unwrap().is_empty());
    }

    /// Nothing else about a refused step is kept.
    async fn wrong_codes_are_counted(store) {
        let rules = bellhop::domain::dispatch::DispatchRules {
            proof: bellhop::domain::delivery::ProofRule::Either,
            ..Default::default()
        };
        store.store.set_clocks(Clocks { dispatch: rules, ..Clocks::default() });
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        run_one(&mut *lane, step(&order, driver, StepReport::of(Step::PickedUp))).await;
        let code = delivery(&store, &order).await.delivery.code;
        let wrong = if code == "0000" { "1111" } else { "0000" };
        for left in (0..5).rev() {
            let report = StepReport { code: Some(wrong.to_owned()), ..StepReport::of(Step::Delivered) };
            let refused = taken(&run_one(&mut *lane, step(&order, driver, report)).await);
            assert_eq!(refused, Err(StepRefusal::WrongCode { tries_left: left }));
        }
        let right = StepReport { code: Some(code), ..StepReport::of(Step::Delivered) };
        let late = taken(&run_one(&mut *lane, step(&order, driver, right)).await);
        assert_eq!(late, Err(StepRefusal::WrongCode { tries_left: 0 }));
        let photo = StepReport { photo: Some("photos/1".to_owned()), ..StepReport::of(Step::Delivered) };
        assert_eq!(taken(&run_one(&mut *lane, step(&order, driver, photo)).await), Ok(StepTaken::Taken));
        assert_eq!(delivery(&store, &order).await.delivery.proof, Some(Proof::Photo("photos/1".to_owned())));
    }

    /// It waits for an operator.
    async fn a_step_of_a_driver_who_lost_the_delivery_is_kept_and_changes_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        run_one(&mut *lane, leave(&order, Party::Admin, Some(UserId::generate()))).await;
        let committed = run(&mut *lane, vec![step(&order, driver, StepReport::of(Step::PickedUp))]).await;
        assert_eq!(taken(&committed.outcomes[0]), Ok(StepTaken::Late));
        assert_eq!(told(&committed), [("ops".to_owned(), EventType::Notification)]);
        assert_eq!(delivery(&store, &order).await.delivery.status, DeliveryStatus::Unassigned);
        assert_eq!(store.peek("SELECT count(*) FROM delivery_steps WHERE late").await, 1);
        let stranger = taken(&run_one(&mut *lane, step(&order, UserId::generate(), StepReport::of(Step::PickedUp))).await);
        assert_eq!(stranger, Err(StepRefusal::NoSuchDelivery));
    }

    async fn food_that_did_not_arrive_goes_back(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &order, driver).await;
        for what in [Step::PickedUp, Step::AtDropoff] {
            run_one(&mut *lane, step(&order, driver, StepReport::of(what))).await;
        }
        let failed = || StepReport { reason: Some(FailureReason::CustomerUnreachable), ..StepReport::of(Step::Failed) };
        let early = taken(&run_one(&mut *lane, step(&order, driver, failed())).await);
        assert!(matches!(early, Err(StepRefusal::TooEarly { .. })), "{early:?}");
        live(&store, &mut *lane, S(301), &[driver]).await;
        assert_eq!(taken(&run_one(&mut *lane, step(&order, driver, failed())).await), Ok(StepTaken::Taken));
        assert_eq!(order_now(&store, order.id).await.status, Status::Failed);
        assert_eq!(taken(&run_one(&mut *lane, step(&order, driver, StepReport::of(Step::Returned))).await), Ok(StepTaken::Taken));
        assert_eq!(delivery(&store, &order).await.delivery.status, DeliveryStatus::Returned);
        assert_eq!(driver_now(&store, driver).await.active, 0);
    }

    async fn a_timeline_tells_who_was_asked_and_what_was_reported(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (one, other) = (driver(&mut *lane, 2).await, driver(&mut *lane, 2).await);
        open(&store, &mut *lane, &order, &[one]).await;
        let decline = OfferAnswer::Decline { reason: Some("too far".to_owned()) };
        run_one(&mut *lane, answer(&offer_of(&store, one, &order).await, decline)).await;
        assigned(&store, &mut *lane, &order, other).await;
        run_one(&mut *lane, step(&order, other, StepReport::of(Step::AtPickup))).await;
        let timeline = store.store.timeline(order.id).await.unwrap();
        let told: Vec<_> = timeline
            .iter()
            .filter_map(|entry| match &entry.what {
                TimelineEvent::Offered { driver, state, .. } => Some((*driver, state.as_str())),
                TimelineEvent::Stepped { step, user, late: false, .. } => Some((user.unwrap(), step.as_str())),
                TimelineEvent::Delivery { driver, status, .. } => Some((driver.unwrap(), status.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(told, [(other, "at_pickup"), (one, "declined"), (other, "accepted"), (other, "at_pickup")]);
    }

    /// Every open offer is closed, and no ended order holds a driver.
    async fn an_order_that_ends_frees_its_driver(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let driver = driver(&mut *lane, 2).await;
        for arrived in [false, true] {
            let order = ready(&world, &mut *lane).await;
            assigned(&store, &mut *lane, &order, driver).await;
            if arrived {
                run_one(&mut *lane, step(&order, driver, StepReport::of(Step::AtPickup))).await;
            }
            let order = order_now(&store, order.id).await;
            let committed = run(&mut *lane, vec![move_to(&order, Status::Cancelled)]).await;
            assert_eq!(committed.left, [(order.id, driver)]);
            let heard = committed.events.iter().filter(|event| event.room.to_string().starts_with("driver:"));
            assert_eq!(heard.count(), 1);
            let delivery = delivery(&store, &order).await.delivery;
            // Who came to the business for nothing is paid.
            let payout = if arrived { 400 } else { 0 };
            assert_eq!((delivery.status, delivery.payout_minor), (DeliveryStatus::Cancelled, payout));
            assert_eq!(driver_now(&store, driver).await.active, 0);
        }
        let order = ready(&world, &mut *lane).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let committed = run(&mut *lane, vec![move_to(&order_now(&store, order.id).await, Status::Cancelled)]).await;
        assert!(told(&committed).contains(&("driver".to_owned(), EventType::OfferClosed)));
        assert!(store.store.open_offers_of(driver).await.unwrap().is_empty());
    }
}
